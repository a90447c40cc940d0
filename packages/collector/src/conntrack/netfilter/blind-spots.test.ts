import { expect, test } from '@jest/globals';
import { type BlindSpotFiles, blindSpots, type LinkFacts } from './blind-spots.ts';

const NO_FILES: BlindSpotFiles = { bridgeSysctl: null, ipvsSysctl: null, ipvsServices: null };
const LINK: LinkFacts = {
  index: 1,
  name: 'lo',
  up: true,
  kind: undefined,
  master: undefined,
  peerElsewhere: false,
  callsNetfilter: false,
};
const cni0: LinkFacts = { ...LINK, index: 4, name: 'cni0', kind: 'bridge' };
const pod = (index: number): LinkFacts => ({ ...LINK, index, kind: 'veth', master: 4, peerElsewhere: true });

const NO_SERVICES = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn`;
const SERVICES = `${NO_SERVICES}\nTCP  0A600001:0050 rr  \n  -> 0A0B0001:1F90      Masq    1      0          0`;

test.each<[string, readonly LinkFacts[] | undefined, string | null | undefined, readonly string[] | undefined]>([
  ['two pods, no br_netfilter', [LINK, cni0, pod(5), pod(6)], null, ['cni0']],
  ['two pods, off', [LINK, cni0, pod(5), pod(6)], '0', ['cni0']],
  ['two pods, on', [LINK, cni0, pod(5), pod(6)], '1', []],
  ['on, whatever the links are', undefined, '1', []],
  ['one pod', [LINK, cni0, pod(5)], '0', []],
  ['a bridge with nothing on it', [LINK, cni0], '0', []],
  ['a bridge that is down', [LINK, { ...cni0, up: false }, pod(5), pod(6)], '0', []],
  ['a bridge that has its own switch', [LINK, { ...cni0, callsNetfilter: true }, pod(5), pod(6)], '0', []],
  ['the dump was refused', undefined, '0', undefined],
  ['the sysctl cannot be read', [LINK, cni0, pod(5), pod(6)], undefined, undefined],
])('bridge: %s', (_, links, bridgeSysctl, expected) => {
  expect(blindSpots(links, { ...NO_FILES, bridgeSysctl }).bridge).toEqual(expected);
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
  expect(blindSpots([LINK], { ...NO_FILES, ...files }).ipvs).toEqual(expected);
});
