import { expect, test } from '@jest/globals';
import { type BlindSpotFiles, kernelView, type NamespaceFacts } from './blind-spots.ts';
import type { LinkFacts } from './links.ts';

const NO_FILES: BlindSpotFiles = {
  bridgeSysctls: { v4: null, v6: null },
  ipvsSysctl: null,
  ipvsServices: null,
};
const find = (facts: Partial<NamespaceFacts>) => view(facts).spots;
const view = (facts: Partial<NamespaceFacts>) =>
  kernelView({ links: [LINK], flowtables: [], files: NO_FILES, ...facts });
const LINK: LinkFacts = {
  index: 1,
  name: 'lo',
  up: true,
  rxBytes: 0,
  txBytes: 0,
  kind: undefined,
  master: undefined,
  peerElsewhere: false,
  has: { v4: false, v6: false },
  callsNetfilter: { v4: false, v6: false },
};
const cni0: LinkFacts = { ...LINK, index: 4, name: 'cni0', kind: 'bridge' };
const pod = (index: number): LinkFacts => ({ ...LINK, index, kind: 'veth', master: 4, peerElsewhere: true });

const NO_SERVICES = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn`;
const SERVICES = `${NO_SERVICES}\nTCP  0A600001:0050 rr  \n  -> 0A0B0001:1F90      Masq    1      0          0`;

type Switch = string | null | undefined;
/** Two pods on a bridge with addresses of those families. */
const podsOn = (v4: boolean, v6: boolean) => [LINK, { ...cni0, has: { v4, v6 } }, pod(5), pod(6)];
const PODS = podsOn(true, false);
const DUAL = podsOn(true, true);
const CALLS = { callsNetfilter: { v4: true, v6: false } };

test.each<[string, readonly LinkFacts[] | undefined, Switch, Switch, readonly string[] | undefined]>([
  ['two pods, no br_netfilter', PODS, null, null, ['cni0/ipv4']],
  ['two pods, off', PODS, '0', '0', ['cni0/ipv4']],
  ['two pods, on', PODS, '1', '0', []],
  ['a bridge without addresses', podsOn(false, false), '0', '0', ['cni0/ipv4']],
  ['dual, off', DUAL, '0', '0', ['cni0/ipv4', 'cni0/ipv6']],
  ['dual, IPv6 off', DUAL, '1', '0', ['cni0/ipv6']],
  ['dual, IPv4 off', DUAL, '0', '1', ['cni0/ipv4']],
  ['dual, on', DUAL, '1', '1', []],
  ['IPv6 alone, IPv4 off', podsOn(false, true), '0', '1', []],
  ['IPv6 alone, off', podsOn(false, true), '1', '0', ['cni0/ipv6']],
  ['on, whatever the links are', undefined, '1', '1', []],
  ['one pod', [LINK, cni0, pod(5)], '0', '0', []],
  ['a bridge with nothing on it', [LINK, cni0], '0', '0', []],
  ['a bridge that is down', [LINK, { ...cni0, up: false }, pod(5), pod(6)], '0', '0', []],
  ['a bridge that has its own switch', [LINK, { ...cni0, ...CALLS }, pod(5), pod(6)], '0', '0', []],
  ['one that has it for IPv4', [LINK, { ...DUAL[1]!, ...CALLS }, pod(5), pod(6)], '0', '0', ['cni0/ipv6']],
  ['the dump was refused', undefined, '0', '0', undefined],
  ['a sysctl cannot be read', PODS, undefined, '1', undefined],
])('bridge: %s', (_, links, v4, v6, expected) => {
  expect(find({ links, files: { ...NO_FILES, bridgeSysctls: { v4, v6 } } }).bridge).toEqual(expected);
});

test.each<[string, Partial<BlindSpotFiles>, readonly string[] | undefined]>([
  ['not loaded', {}, []],
  ['no services', { ipvsServices: NO_SERVICES, ipvsSysctl: '0' }, []],
  ['off', { ipvsServices: SERVICES, ipvsSysctl: '0' }, ['net.ipv4.vs.conntrack']],
  ['a kernel without the switch', { ipvsServices: SERVICES, ipvsSysctl: null }, ['net.ipv4.vs.conntrack']],
  ['on', { ipvsServices: SERVICES, ipvsSysctl: '1' }, []],
  ['services cannot be read', { ipvsServices: undefined, ipvsSysctl: '0' }, undefined],
  ['the switch cannot be read', { ipvsServices: SERVICES, ipvsSysctl: undefined }, undefined],
])('IPVS: %s', (_, files, expected) => {
  expect(find({ files: { ...NO_FILES, ...files } }).ipvs).toEqual(expected);
});

test('flowtables that cannot be read are not known', () => {
  expect(find({ flowtables: undefined }).flowtable).toBeUndefined();
  expect(find({ flowtables: [] }).flowtable).toEqual([]);
});

test('the links of pods, and those that a data plane is known by', () => {
  const calico: LinkFacts = { ...LINK, index: 9, name: 'bpfin.cali', kind: 'veth' };
  const { podLinks, dataPlanes } = view({ links: [LINK, cni0, pod(5), calico] });
  expect(podLinks?.map(({ index }) => index)).toEqual([5]);
  expect(dataPlanes).toEqual(['bpfin.cali']);
  expect(view({ links: undefined })).toMatchObject({ podLinks: undefined, dataPlanes: [] });
});
