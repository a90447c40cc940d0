import { afterAll, expect, test } from '@jest/globals';
import { RtNetlinkSocket } from 'netlink/dist/rt/rt.js';
import { DumpSocket, openAddressSocket } from './node-addresses.ts';

const dumps = new DumpSocket();
const socket = new RtNetlinkSocket(dumps);
afterAll(() => dumps.close());

const links = () => socket.getLinks({}, {}, { timeout: 5000 });
/** No network namespace has this number here: the kernel answers with NLMSG_DONE and EINVAL. */
const refused = () => socket.getLinks({}, { targetNetnsid: 999 }, { timeout: 5000 });

test('a dump that the kernel refuses is an error and not an empty list', async () => {
  expect(await refused()).toEqual([]);
  await expect(dumps.whole(refused)).rejects.toThrow('the kernel broke off a dump: EINVAL');
});

test('the dump after it is as it should be', async () => {
  await expect(dumps.whole(refused)).rejects.toThrow('EINVAL');
  const names = (await links()).map(({ attrs }) => attrs.ifname);
  expect(names).toContain('lo');
  expect(await dumps.whole(links)).toHaveLength(names.length);
});

test('the addresses of this machine are read', async () => {
  const addresses = openAddressSocket();
  expect((await addresses.read()).every((address) => address.length === 16)).toBe(true);
  addresses.close();
});
