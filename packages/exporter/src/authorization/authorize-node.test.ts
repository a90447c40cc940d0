import { parseAddress, parseRange } from '@egressd/flow/address';
import { describe, expect, test } from '@jest/globals';
import { OwnerRegistry } from '../owners/registry.ts';
import { authorizeNode, type NodeClaim } from './authorize-node.ts';
import { nodesIn } from './certificate-nodes.ts';

const at = (text: string) => parseAddress(text)!;

/** Overlay: node a has pods from 10.1.0.0/24, b from 10.2.0.0/24; c has no known address, d is declared nowhere. */
function cluster(): OwnerRegistry {
  const owners = new OwnerRegistry(['test']);
  const node = (name: string, addresses: string[], ...podRanges: string[]) => ({
    ...{ name, zone: '', region: '', addresses: addresses.map(at) },
    podRanges: podRanges.map((text) => parseRange(text)!),
  });
  const pod = (name: string, on: string, ip: string) => ({
    ...{ key: name, namespace: 'egressd', name, node: on, addresses: [at(ip)], hostNetwork: false },
  });
  owners.source('test').replace(
    {
      nodes: [
        node('a', ['192.0.2.1', '2001:db8::1'], '10.1.0.0/24'),
        node('b', ['192.0.2.2'], '10.2.0.0/24'),
        node('c', []),
      ],
      pods: [pod('collector-a', 'a', '10.1.0.7'), pod('collector-b', 'b', '10.2.0.7'), pod('guest', 'a', '10.2.0.9')],
      clusterRanges: [],
    },
    0,
  );
  return owners;
}

function claim(node: string, peer: string | undefined, more: Partial<NodeClaim> = {}): NodeClaim {
  return {
    node,
    nodeAddresses: [],
    peer: peer === undefined ? undefined : at(peer),
    certificate: { kind: 'any' },
    ...more,
  };
}

describe('a stream may report for its node', () => {
  test.each<[string, NodeClaim]>([
    ['from its own address', claim('a', '192.0.2.1')],
    ['from another of its own', claim('a', '2001:db8::1')],
    ['from a pod on it', claim('a', '10.1.0.7')],
    ['through loopback: a proxy of this host', claim('a', '127.0.0.1')],
    ['from no IP address', claim('a', undefined)],
    ["masqueraded from its tunnel's address (flannel.1)", claim('a', '10.1.0.0')],
    ["from its bridge's gateway (cni0)", claim('a', '10.1.0.1')],
    [
      'from an address that it reports and no other node or pod has',
      claim('a', '172.30.0.9', { nodeAddresses: [at('172.30.0.9')] }),
    ],
    ['from a second address that is not known yet', claim('a', '198.51.100.7')],
    ['of which no address is known', claim('c', '198.51.100.7')],
    ['of which nothing is known', claim('d', '198.51.100.7')],
    [
      'by its certificate, whatever the address',
      claim('a', '192.0.2.2', { certificate: { kind: 'named', names: ['x', 'a'] } }),
    ],
  ])('%s', (_, made) => expect(authorizeNode(cluster(), made, 1000)).toBeUndefined());

  test('from a bridge that all nodes have, each its own, whichever reported it first', () => {
    const owners = cluster();
    const bridge = { nodeAddresses: [at('172.17.0.1')] };
    owners.addNodeAddresses('b', bridge.nodeAddresses, 500);
    expect(authorizeNode(owners, claim('a', '172.17.0.1', bridge), 1000)).toBeUndefined();
  });
});

describe('refused: known to be of another', () => {
  test.each<[string, NodeClaim, string]>([
    ['node', claim('a', '192.0.2.2'), '192.0.2.2 is of node b, not of node a'],
    ['pod', claim('a', '10.2.0.7'), '10.2.0.7 is of pod egressd/collector-b on node b, not of node a'],
    ['pod range', claim('a', '10.2.0.1'), '10.2.0.1 is in the pod range of node b, not of node a'],
    ['of a node that is not declared', claim('d', '192.0.2.2'), '192.0.2.2 is of node b, not of node d'],
    ['pod, although its range holds the address', claim('b', '10.2.0.9'), '10.2.0.9 is of pod egressd/guest on node a'],
    [
      'pod, although it reports the address',
      claim('a', '10.2.0.7', { nodeAddresses: [at('10.2.0.7')] }),
      'of pod egressd/collector-b on node b',
    ],
    [
      'node, although it reports the address',
      claim('a', '192.0.2.2', { nodeAddresses: [at('192.0.2.2')] }),
      'of node b',
    ],
  ])('%s', (_, made, text) => expect(authorizeNode(cluster(), made, 1000)).toContain(text));

  test('as soon as metadata says so, and not before', () => {
    const owners = new OwnerRegistry(['test']);
    const made = claim('a', '192.0.2.2');
    expect(authorizeNode(owners, made, 1000)).toBeUndefined();
    const late = { name: 'b', zone: '', region: '', addresses: [at('192.0.2.2')] };
    owners.source('test').upsertNode(late, 2000);
    expect(authorizeNode(owners, made, 2001)).toContain('192.0.2.2 is of node b');
    const named = { kind: 'named', names: ['a'] } as const;
    expect(authorizeNode(owners, { ...made, certificate: named }, 2001)).toBeUndefined();
    owners.source('test').upsertNode({ ...late, addresses: [] }, 3000);
    expect(authorizeNode(owners, made, 3001)).toBeUndefined();
  });

  test('also where only one of two sources says so', () => {
    const owners = new OwnerRegistry(['inventory', 'kubernetes']);
    const b = (...addresses: string[]) => ({ name: 'b', zone: '', region: '', addresses: addresses.map(at) });
    owners.source('inventory').upsertNode(b('192.0.2.2'), 0);
    owners.source('kubernetes').upsertNode(b('192.0.2.3'), 0);
    owners.source('kubernetes').endNode('b', 500);
    expect(authorizeNode(owners, claim('a', '192.0.2.2'), 1000)).toContain('of node b');
    expect(authorizeNode(owners, claim('a', '192.0.2.3'), 1000)).toBeUndefined();
    expect(authorizeNode(owners, claim('b', '192.0.2.2'), 1000)).toBeUndefined();
  });

  test('and heals when that is no longer so', () => {
    const owners = cluster();
    expect(authorizeNode(owners, claim('a', '192.0.2.2'), 1000)).toBeDefined();
    owners.source('test').endNode('b', 2000);
    expect(authorizeNode(owners, claim('a', '192.0.2.2'), 2001)).toBeUndefined();
  });
});

describe('refused by its certificate, whatever the address', () => {
  const named = (...names: string[]) => ({ kind: 'named', names }) as const;
  test.each<[NodeClaim['certificate'], string]>([
    [named('b'), 'a collector reports for node a, and its certificate is for b: check NODE_NAME'],
    [named('b', 'c', 'd', 'e', 'f'), 'is for b, c, d and 2 more'],
    [nodesIn('URI:egressd:a'), 'allows nothing: its URI "egressd:a" is not egressd://node/NAME'],
  ])('%j', (certificate, text) =>
    expect(authorizeNode(cluster(), claim('a', '192.0.2.1', { certificate }), 1000)).toContain(text),
  );
});
