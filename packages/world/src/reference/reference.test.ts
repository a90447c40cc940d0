import { expect, test } from '@jest/globals';
import { parseConntrack, parseConntrackOnce } from './conntrack-text.ts';
import { parseSet } from './reference.ts';

const element = (source: string, destination: string, protocol: string | number, packets: number, bytes: number) => ({
  elem: { val: { concat: [source, destination, protocol] }, counter: { packets, bytes } },
});
const listing = (...elem: unknown[]) => JSON.stringify({ nftables: [{ metainfo: {} }, { set: { name: 'v4', elem } }] });

test('elements of a set, protocols by name and number', () => {
  const json = listing(element('10.0.0.1', '10.0.0.2', 'tcp', 3, 180), element('fd00::1', 'fd00::2', 58, 1, 104));
  expect(parseSet(json)).toEqual([
    { source: '10.0.0.1', destination: '10.0.0.2', protocol: 6, packets: 3, bytes: 180 },
    { source: 'fd00::1', destination: 'fd00::2', protocol: 58, packets: 1, bytes: 104 },
  ]);
});

test('an empty set has no elements', () => {
  expect(parseSet(JSON.stringify({ nftables: [{ set: { name: 'v4' } }] }))).toEqual([]);
});

test('a protocol by a name that is not known is an error', () => {
  expect(() => parseSet(listing(element('10.0.0.1', '10.0.0.2', 'xtp', 1, 1)))).toThrow(/xtp/);
});

const TRANSLATED =
  'tcp      6 119 TIME_WAIT src=10.10.1.4 dst=10.96.0.20 sport=1 dport=5432 packets=7 bytes=1380 ' +
  'src=10.10.2.4 dst=10.240.1.2 sport=8080 dport=1 packets=5 bytes=2268 [ASSURED] mark=0 use=1';
const ENDED =
  ' [DESTROY] udp      17 src=10.10.1.4 dst=10.10.2.4 sport=1 dport=2 packets=1 bytes=60 [UNREPLIED] ' +
  'src=10.10.2.4 dst=10.10.1.4 sport=2 dport=1 packets=0 bytes=0 delta-time=0';

test('a connection belongs to who opened it and who really answered', () => {
  expect([...parseConntrack(`${TRANSLATED}\n${TRANSLATED}\n${ENDED}\n`).values()]).toEqual([
    { source: '10.10.1.4', destination: '10.10.2.4', protocol: 6, packets: 14, bytes: 2760 },
    { source: '10.10.2.4', destination: '10.10.1.4', protocol: 6, packets: 10, bytes: 4536 },
    { source: '10.10.1.4', destination: '10.10.2.4', protocol: 17, packets: 1, bytes: 60 },
  ]);
});

const IN_THE_NEXT_ZONE =
  'tcp      6 119 TIME_WAIT src=10.10.1.4 dst=10.10.2.4 sport=1 dport=8080 packets=6 bytes=1328 ' +
  'src=10.10.2.4 dst=10.240.1.2 sport=8080 dport=9 packets=5 bytes=2268 [ASSURED] mark=0 zone=20 use=1';

test('a connection whose packets pass two zones counts once, with what the first of them has seen', () => {
  const once = [...parseConntrackOnce(`${TRANSLATED}\n${IN_THE_NEXT_ZONE}\n`).values()];
  expect(once.map(({ packets, bytes }) => [packets, bytes])).toEqual([
    [7, 1380],
    [5, 2268],
  ]);
  expect([...parseConntrack(`${TRANSLATED}\n${IN_THE_NEXT_ZONE}\n`).values()][0]).toMatchObject({ packets: 13 });
});

test('a line without counters is an error', () => {
  expect(() => parseConntrack('tcp 6 119 src=10.0.0.1 dst=10.0.0.2 src=10.0.0.2 dst=10.0.0.1')).toThrow(/counters/);
});
