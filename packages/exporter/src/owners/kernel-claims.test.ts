import { addressKey, addressOfKey, formatAddress, parseAddress, parseRange } from '@egressd/flow/address';
import { describe, expect, test } from '@jest/globals';
import { believedClaims, MAX_CLUSTER_CLAIMS } from './kernel-claims.ts';
import type { NodeRecord } from './owners.ts';
import { OwnerRegistry } from './registry.ts';

const address = (ip: string) => parseAddress(ip)!;
const range = (text: string) => parseRange(text)!;

const NODE: NodeRecord = {
  name: 'node-a',
  zone: 'z',
  region: 'r',
  addresses: ['192.168.0.10', 'fd00:1::10', '8.8.4.10'].map(address),
  podRanges: [range('10.1.0.0/24')],
};

/** Those that others believe, in a cluster of 10.0.0.0/8 in which node-b has 10.2.0.0/24. */
function believed(claims: readonly string[], node = NODE): string[] {
  const other = range('10.2.0.0/24');
  const cluster = {
    ranges: [range('10.0.0.0/8')],
    nodeOfPodRange: (ip: Uint8Array) => (inside(other, ip) ? 'node-b' : undefined),
  };
  return [
    ...believedClaims(
      claims.map((ip) => addressKey(address(ip))),
      node,
      cluster,
    ),
  ].map((key) => formatAddress(addressOfKey(key)));
}

function inside(one: { bytes: Uint8Array; bits: number }, ip: Uint8Array): boolean {
  return Buffer.compare(one.bytes.subarray(0, one.bits / 8), ip.subarray(0, one.bits / 8)) === 0;
}

describe('what a kernel reports counts for other nodes', () => {
  test.each<[string, string, boolean]>([
    ['a bridge in its own pod range', '10.1.0.1', true],
    ["an address in another node's pod range", '10.2.0.7', false],
    ['a tunnel in the cluster’s ranges', '10.99.0.64', true],
    ['a virtual address beside its own', '192.168.0.250', true],
    ['the same in IPv6', 'fd00:1::feed', true],
    ['a public one beside a public one of its own', '8.8.4.200', true],
    ['a public one', '1.1.1.1', false],
    ['a database elsewhere', '172.20.5.5', false],
  ])('%s', (_, ip, expected) => expect(believed([ip])).toEqual(expected ? [ip] : []));

  test('a few in the cluster’s ranges, where nothing says whose part that is', () => {
    const claims = Array.from({ length: 128 }, (_, i) => `10.99.0.${i}`);
    expect(believed(claims)).toEqual(claims.slice(0, MAX_CLUSTER_CLAIMS));
  });

  test('private ones, where nothing is declared', () => {
    expect(believed(['172.20.5.5', '1.1.1.1'], { ...NODE, addresses: [] })).toEqual(['172.20.5.5']);
  });
});

/** Who has an address in what a node reports. */
function owner(owners: OwnerRegistry, ip: string, seenBy: string): string {
  const found = owners.ownerBetween(address(ip), 0, 5000, 6000, seenBy);
  return found.known === 'owner' ? found.owner.pod || found.owner.node : found.known;
}

describe('a collector that lies', () => {
  const cluster = () => {
    const owners = new OwnerRegistry(['api']);
    const other = { name: 'node-b', zone: 'z', region: 'r', addresses: [address('192.168.0.11')] };
    owners.source('api').replace({ nodes: [NODE, other], pods: [], clusterRanges: [range('10.0.0.0/8')] }, 1000);
    return owners;
  };

  test.each(['0.0.0.0', '::', '127.0.0.1', '::1', '169.254.169.254', 'fe80::1', '224.0.0.1', 'ff02::1'])(
    '%s is nobody’s, also in what it reports itself',
    (ip) => {
      const owners = cluster();
      owners.addNodeAddresses('node-b', [address(ip)], 2000);
      expect([owner(owners, ip, 'node-a'), owner(owners, ip, 'node-b')]).toEqual(['none', 'none']);
    },
  );

  test('takes what is elsewhere for its own traffic alone', () => {
    const owners = cluster();
    owners.addNodeAddresses('node-b', ['1.1.1.1', '172.20.5.5', '10.1.0.7'].map(address), 2000);
    expect(['1.1.1.1', '172.20.5.5', '10.1.0.7'].map((ip) => owner(owners, ip, 'node-a'))).toEqual(
      Array(3).fill('none'),
    );
    expect(owner(owners, '1.1.1.1', 'node-b')).toBe('node-b');
  });

  test('ranges that are known later count from then on', () => {
    const owners = new OwnerRegistry(['api']);
    const api = owners.source('api');
    const other = { name: 'node-b', zone: '', region: '', addresses: [address('192.168.0.11')] };
    api.replace({ nodes: [other], pods: [], clusterRanges: [] }, 1000);
    owners.addNodeAddresses('node-b', [address('10.1.0.7')], 2000);
    expect(owner(owners, '10.1.0.7', 'node-a')).toBe('none');
    api.setClusterRanges([range('10.0.0.0/8')]);
    owners.evict(3000);
    expect(owner(owners, '10.1.0.7', 'node-a')).toBe('node-b');
    api.upsertNode(NODE, 3000);
    owners.evict(4000);
    expect(owner(owners, '10.1.0.7', 'node-a')).toBe('none');
  });
});
