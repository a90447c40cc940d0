import { expect, test } from '@jest/globals';
import { KernelAddresses, MAX_REPORTERS } from './kernel-addresses.ts';

const NODES = Array.from({ length: MAX_REPORTERS + 1 }, (_, i) => `n${i}`);
const SERVICES = ['s1', 's2'];

/** All nodes report their own address and those of the Services. */
function manyNodes(): KernelAddresses {
  const addresses = new KernelAddresses();
  for (const node of NODES) addresses.set(node, [`own ${node}`, ...SERVICES]);
  return addresses;
}

test('what a node reports is its own, and ends where it is not reported any more', () => {
  const addresses = new KernelAddresses();
  expect(addresses.set('n1', ['a', 'b'])).toEqual([{ node: 'n1', begun: ['a', 'b'], ended: [] }]);
  expect(addresses.set('n1', ['b', 'c'])).toEqual([{ node: 'n1', begun: ['c'], ended: ['a'] }]);
  expect(addresses.get('n1')).toEqual(['b', 'c']);
  expect(addresses.delete('n1')).toEqual(['b', 'c']);
  expect(addresses.size).toBe(0);
});

test('what moves from node to node is always the own one of those that report it', () => {
  const addresses = new KernelAddresses();
  for (const node of NODES) {
    addresses.set(node, ['virtual']);
    expect(addresses.get(node)).toEqual(['virtual']);
    addresses.set(node, []);
  }
});

test('what more nodes report than may share it is nobody’s, also of those that reported it first', () => {
  const addresses = new KernelAddresses();
  const changes = NODES.map((node) => addresses.set(node, SERVICES));
  expect(changes.slice(0, -1).flat()).toEqual(NODES.slice(0, -1).map((node) => ({ node, begun: SERVICES, ended: [] })));
  const others = SERVICES.flatMap((key) => NODES.slice(0, -1).map((node) => ({ node, begun: [], ended: [key] })));
  expect(changes.at(-1)).toEqual([{ node: NODES.at(-1), begun: [], ended: [] }, ...others]);
  for (const node of NODES) expect(addresses.get(node)).toEqual([]);
});

test('it stays nobody’s until none reports it', () => {
  const addresses = manyNodes();
  for (const node of NODES.slice(1)) addresses.set(node, [`own ${node}`]);
  expect(addresses.get('n0')).toEqual(['own n0']);
  expect(addresses.set('n1', ['own n1', 's1'])).toEqual([{ node: 'n1', begun: [], ended: [] }]);
  for (const node of NODES) addresses.set(node, []);
  expect(addresses.set('n1', ['s1'])).toEqual([{ node: 'n1', begun: ['s1'], ended: [] }]);
});

test('an address that is reported twice counts once', () => {
  const addresses = new KernelAddresses();
  expect(addresses.set('n1', ['a', 'a'])).toEqual([{ node: 'n1', begun: ['a'], ended: [] }]);
  addresses.set('n1', []);
  for (const node of NODES.slice(1)) expect(addresses.set(node, ['a'])[0]!.begun).toEqual(['a']);
});

test('the oldest is the one that has not reported for the longest time', () => {
  const addresses = manyNodes();
  addresses.set('n0', []);
  expect(addresses.oldest).toBe('n1');
});
