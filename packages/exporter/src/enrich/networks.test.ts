import { formatAddress, parseAddress, parseRange } from '@egressd/flow/address';
import { describe, expect, test } from '@jest/globals';
import { formatKey, labelsOf } from '../aggregate/labels.ts';
import type { Network } from '../networks/network.ts';
import { NetworkIndex } from '../networks/network-index.ts';
import type { Ownership } from '../owners/owners.ts';
import { distanceOf } from '../sinks/label-sets/distance.ts';
import { type Endpoint, endpointAt } from './endpoint.ts';

function network(name: string, changes: Partial<Network> = {}): Network {
  return { name, kind: '', zone: '', region: '', service: '', ...changes };
}

const NETWORKS = new NetworkIndex([
  [parseRange('172.16.0.0/12')!, network('office')],
  [parseRange('172.16.8.0/24')!, network('data-centre', { zone: 'z1', region: 'r1' })],
  [parseRange('172.16.9.0/24')!, network('data-centre', { zone: 'z2', region: 'r1' })],
  [parseRange('172.17.0.0/16')!, network('abroad', { region: 'r2' })],
  [parseRange('198.18.0.0/15')!, network('ours', { kind: 'private' })],
  [parseRange('10.200.0.0/16')!, network('partner', { kind: 'internet' })],
  [parseRange('3.5.140.0/22')!, network('aws', { kind: 'cloud', region: 'r1', service: 'S3' })],
  [parseRange('2001:db8::/32')!, network('v6', { kind: 'internet' })],
  [parseRange('10.0.0.0/8')!, network('cluster')],
]);

const RULES = {
  clusterRanges: [parseRange('10.0.0.0/16')!],
  privateRanges: [],
  networks: NETWORKS,
  groupPublicIps: false,
};

const NONE: Ownership = { known: 'none' };

function endOf(address: string, changes: Partial<typeof RULES> = {}, ownership = NONE): Endpoint {
  return endpointAt(parseAddress(address)!, 0, ownership, { ...RULES, ...changes });
}

const POD: Ownership = {
  known: 'owner',
  owner: { kind: 'pod', namespace: 'shop', pod: 'a', node: 'n1', zone: 'z1', region: 'r1' },
};

describe('an end', () => {
  test.each<[string, Endpoint['place'], string]>([
    ['172.16.0.1', 'private', 'office'],
    ['172.16.8.1', 'private', 'data-centre'],
    ['198.18.0.1', 'private', 'ours'],
    ['10.200.0.1', 'public', 'partner'],
    ['3.5.141.1', 'public', 'aws'],
    ['2001:db8::1', 'public', 'v6'],
    ['203.0.113.1', 'public', ''],
    ['192.168.0.1', 'private', ''],
    ['10.9.0.1', 'private', 'cluster'],
  ])('%s is %s, of the network %s', (address, place, name) => {
    const { place: found, owner } = endOf(address);
    expect([found, owner.network?.name ?? '']).toEqual([place, name]);
  });

  test('a pod that has the address, and the ranges of the cluster, come before networks', () => {
    expect(endOf('172.16.0.1', {}, POD).owner).toMatchObject({ pod: 'a' });
    expect(endOf('172.16.0.1', {}, POD).owner.network).toBeUndefined();
    expect(endOf('10.0.0.7')).toMatchObject({ place: 'unknown' });
    expect(endOf('10.0.0.7').owner.network).toBeUndefined();
  });

  test('public addresses are grouped by network', () => {
    const grouped = (address: string) => endOf(address, { groupPublicIps: true });
    const [s3, other, none] = [grouped('3.5.140.1'), grouped('3.5.143.255'), grouped('203.0.113.1')];
    expect(other).toEqual(s3);
    expect(formatKey(s3.key)).toBe('0.0.0.0');
    expect(s3.owner.network?.service).toBe('S3');
    expect(none.owner.network).toBeUndefined();
    expect(formatKey(grouped('2001:db8::1').key)).toBe('::');
    expect(formatKey(grouped('172.16.0.1').key)).toBe(formatAddress(parseAddress('172.16.0.1')!));
  });
});

describe('distance', () => {
  const source = endOf('10.0.0.1', {}, POD);
  const to = (address: string, ownership: Ownership = NONE) => {
    const destination = endOf(address, {}, ownership);
    const labelled = (end: Endpoint) => ({ end, ip: formatKey(end.key) });
    return labelsOf(labelled(source), labelled(destination), 6);
  };
  const owner = (node: string, zone: string, region: string, pod = 'b'): Ownership => ({
    known: 'owner',
    owner: { kind: 'pod', namespace: 'shop', pod, node, zone, region },
  });

  test.each<[string, string, string, Ownership]>([
    ['same_node', 'same_zone', '10.0.0.2', owner('n1', 'z1', 'r1')],
    ['same_node', 'same_zone', '192.168.0.1', owner('n1', 'z1', 'r1', '')],
    ['same_zone', 'same_zone', '10.0.1.2', owner('n2', 'z1', 'r1')],
    ['cross_zone', 'cross_zone', '10.0.2.2', owner('n3', 'z2', 'r1')],
    ['cross_region', 'cross_region', '10.0.2.2', owner('n4', 'z1', 'r2')],
    ['unknown_zone', 'unknown', '10.0.2.2', owner('n5', '', '')],
    ['unknown_owner', 'unknown', '10.0.0.9', NONE],
    ['internet', 'internet', '203.0.113.1', NONE],
    ['internet', 'internet', '10.200.0.1', NONE],
    ['cloud_service', 'internet', '3.5.140.1', NONE],
    ['private', 'private', '172.16.0.1', NONE],
    ['same_zone', 'private', '172.16.8.1', NONE],
    ['cross_zone', 'private', '172.16.9.1', NONE],
    ['cross_region', 'private', '172.17.0.1', NONE],
    ['node_local', 'private', '169.254.169.254', NONE],
    ['node_local', 'private', '127.0.0.1', NONE],
    ['node_local', 'private', 'fe80::1', NONE],
  ])('%s, scope %s: %s', (distance, scope, address, ownership) => {
    const labels = to(address, ownership);
    expect([distanceOf(labels), labels.scope]).toEqual([distance, scope]);
  });

  test('zones that you name are compared', () => {
    expect(to('172.16.9.1')).toMatchObject({ cross_zone: true, dst_zone: 'z2', dst_region: 'r1' });
    expect(to('172.16.8.1')).toMatchObject({ cross_zone: false, dst_zone: 'z1' });
  });
});
