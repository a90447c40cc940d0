import { parseAddress } from '@egressd/flow/address';
import { expect, test } from '@jest/globals';
import { maySpeakFor } from './peer.ts';
import { OwnerRegistry } from './registry.ts';

const at = (text: string) => parseAddress(text)!;

const owners = new OwnerRegistry(['test']);
owners.source('test').replace(
  {
    nodes: [
      { name: 'a', zone: '', region: '', addresses: [at('192.0.2.1'), at('2001:db8::1')] },
      { name: 'b', zone: '', region: '', addresses: [at('192.0.2.2')] },
      { name: 'c', zone: '', region: '', addresses: [] },
    ],
    pods: [
      {
        key: 'pa',
        namespace: 'egressd',
        name: 'collector-a',
        node: 'a',
        addresses: [at('10.1.0.1')],
        hostNetwork: false,
      },
      {
        key: 'pb',
        namespace: 'egressd',
        name: 'collector-b',
        node: 'b',
        addresses: [at('10.2.0.1')],
        hostNetwork: false,
      },
    ],
    clusterRanges: [],
  },
  0,
);

test.each([
  ['from its own address', 'a', '192.0.2.1'],
  ['from another of its own', 'a', '2001:db8::1'],
  ['from a pod on it', 'a', '10.1.0.1'],
  ['through loopback: a proxy of this host', 'a', '127.0.0.1'],
  ['of which no address is known', 'c', '198.51.100.7'],
  ['of which nothing is known', 'd', '198.51.100.7'],
])('a node %s', (_, node, peer) => expect(maySpeakFor(owners, node, at(peer), 1000)).toBeUndefined());

test.each([
  ['another node', 'a', '192.0.2.2'],
  ['a pod of another node', 'a', '10.2.0.1'],
  ['anywhere', 'a', '198.51.100.7'],
])('refused: from %s', (_, node, peer) => {
  expect(maySpeakFor(owners, node, at(peer), 1000)).toBe(
    `${peer} is no address of node a (it has 192.0.2.1, 2001:db8::1): correct NODE_NAME, or the node's addresses`,
  );
});

test('refused: from no IP address', () => {
  expect(maySpeakFor(owners, 'a', undefined, 1000)).toBe('node a has known addresses, and this stream comes from none');
});
