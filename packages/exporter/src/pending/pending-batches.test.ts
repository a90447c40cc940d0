import { parseAddress, parseRange } from '@egressd/flow/address';
import { emptyColumns, type FlowColumns } from '@egressd/flow/columns';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { OwnerRegistry } from '../owners/registry.ts';
import type { ReceivedBatch } from '../receiver/received.ts';
import { collectorOf } from '../receiver/testing.ts';
import { missingOwners } from './missing-owners.ts';
import { MAX_PENDING_MS, PendingBatches, SUCCESSOR_MS, UNRESOLVED_MS } from './pending-batches.ts';

const NOW = 1_000_000;

/** n1 has pod a (10.1.0.1) and address 192.168.0.1, n2 has pod b (10.2.0.1); 10.1.0.0/16 is the cluster's own. */
function known(): OwnerRegistry {
  const owners = new OwnerRegistry(['api']);
  const address = (text: string) => [parseAddress(text)!];
  const pod = (name: string, node: string, ip: string) => ({
    key: name,
    namespace: 'ns',
    name,
    node,
    addresses: address(ip),
    hostNetwork: false,
  });
  owners.source('api').replace(
    {
      nodes: [
        { name: 'n1', zone: '', region: '', addresses: address('192.168.0.1') },
        { name: 'n2', zone: '', region: '', addresses: [] },
      ],
      pods: [pod('a', 'n1', '10.1.0.1'), pod('b', 'n2', '10.2.0.1')],
      clusterRanges: [parseRange('10.1.0.0/16')!, parseRange('203.0.113.0/24')!],
    },
    0,
  );
  return owners;
}

function appears(owners: OwnerRegistry, ip: string): void {
  const addresses = [parseAddress(ip)!];
  const fromMs = NOW - 60_000;
  owners
    .source('api')
    .upsertPod({ key: ip, namespace: 'ns', name: ip, node: 'n1', addresses, hostNetwork: false, fromMs }, NOW);
}

function columns(pairs: readonly (readonly [string, string])[]): FlowColumns {
  const part = emptyColumns(pairs.length, pairs.length * 2);
  pairs.forEach(([source, destination], row) => {
    part.addresses.set(parseAddress(source)!, row * 32);
    part.addresses.set(parseAddress(destination)!, row * 32 + 16);
    part.source[row] = row * 2;
    part.destination[row] = row * 2 + 1;
  });
  return part;
}

function batch(
  number: number,
  pairs: readonly (readonly [string, string])[],
  more: { node?: string; epoch?: string; toMs?: number } = {},
): ReceivedBatch {
  const { node = 'n1', epoch = 'one', toMs = NOW } = more;
  return {
    collector: collectorOf(node, { epoch }),
    span: { number, fromMs: toMs - 5000, toMs },
    parts: [columns(pairs)],
  };
}

const numbers = (batches: readonly ReceivedBatch[]) => batches.map(({ span }) => span.number);
const LATE = ['10.1.0.9', '8.8.8.8'] as const;
const FINE = ['10.1.0.1', '8.8.8.8'] as const;

test.each<[string, string, string, string[]]>([
  ['a pod and the internet', '10.1.0.1', '8.8.8.8', []],
  ['an unowned address of our ranges and the internet', '10.1.0.9', '8.8.8.8', ['10.1.0.9']],
  ['a pod and an unowned address of our ranges', '10.1.0.1', '10.1.0.9', ['10.1.0.9']],
  ['our ranges may be public ones', '203.0.113.7', '8.8.8.8', ['203.0.113.7']],
  ['a pod and a private address', '10.1.0.1', '172.16.0.9', []],
  ['the node and a private address', '192.168.0.1', '172.16.0.9', []],
  ['a pod of another node and a private address', '10.2.0.1', '172.16.0.9', ['172.16.0.9']],
  ['two private addresses', '172.16.0.8', '172.16.0.9', ['172.16.0.8', '172.16.0.9']],
  ['a private address and a folded one', '172.16.0.8', '0.0.0.0', ['172.16.0.8']],
  ['folded: never has an owner', '::', '0.0.0.0', []],
  ['two of the internet', '8.8.4.4', '8.8.8.8', []],
])('missing owners: %s', (_, source, destination, expected) => {
  const found = missingOwners(batch(1, [[source, destination]]), known());
  expect(found.map(({ bytes }) => bytes)).toEqual(expected.map((text) => parseAddress(text)));
});

describe('a batch', () => {
  test('whose addresses all have owners is not pending', () => {
    const pending = new PendingBatches(known());
    expect(numbers(pending.offer(batch(1, [FINE]), NOW))).toEqual([1]);
    expect(pending.size).toBe(0);
  });

  test('is pending until its pod is reported, and those after it with it, in order', () => {
    const owners = known();
    const pending = new PendingBatches(owners);
    expect(pending.offer(batch(1, [LATE]), NOW)).toEqual([]);
    expect(pending.offer(batch(2, [FINE]), NOW)).toEqual([]);
    expect(numbers(pending.offer(batch(1, [['10.2.0.1', '8.8.8.8']], { node: 'n2' }), NOW))).toEqual([1]);
    expect(pending.due(NOW + 1)).toEqual([]);
    appears(owners, '10.1.0.9');
    expect(numbers(pending.due(NOW + 2))).toEqual([1, 2]);
    expect([...pending.takeOutcomes()]).toEqual([['resolved', 2]]);
    expect(pending.size).toBe(0);
  });

  test('is pending no longer than MAX_PENDING_MS, and its address is not waited for again for a while', () => {
    const pending = new PendingBatches(known());
    pending.offer(batch(1, [LATE]), NOW);
    expect(pending.due(NOW + MAX_PENDING_MS - 1)).toEqual([]);
    expect(numbers(pending.due(NOW + MAX_PENDING_MS))).toEqual([1]);
    expect([...pending.takeOutcomes()]).toEqual([['timed_out', 1]]);
    const soon = NOW + MAX_PENDING_MS + UNRESOLVED_MS - 1;
    expect(numbers(pending.offer(batch(2, [LATE], { toMs: soon }), soon))).toEqual([2]);
    expect(pending.offer(batch(3, [LATE], { toMs: soon + 1 }), soon + 1)).toEqual([]);
  });

  test('that is old is not pending: an owner that is not known by now comes no more', () => {
    const pending = new PendingBatches(known());
    expect(numbers(pending.offer(batch(1, [LATE], { toMs: NOW - MAX_PENDING_MS }), NOW))).toEqual([1]);
    expect(pending.offer(batch(2, [LATE], { toMs: NOW - MAX_PENDING_MS + 1 }), NOW)).toEqual([]);
    expect(numbers(pending.due(NOW + 1))).toEqual([2]);
  });

  test('of a clock that is ahead is pending no longer for that', () => {
    const pending = new PendingBatches(known());
    pending.offer(batch(1, [LATE], { toMs: NOW + 60_000 }), NOW);
    expect(numbers(pending.due(NOW + MAX_PENDING_MS))).toEqual([1]);
  });
});

describe('an address whose pod has ended within a batch', () => {
  /** Pod a (10.1.0.1) ended 3 s before the batch's end. */
  function ended(): OwnerRegistry {
    const owners = known();
    owners.source('api').endPod('a', NOW - 3000);
    return owners;
  }
  const next = (owners: OwnerRegistry, fromMs: number) =>
    owners.source('api').upsertPod(
      {
        key: 'next',
        namespace: 'ns',
        name: 'next',
        node: 'n1',
        addresses: [parseAddress('10.1.0.1')!],
        hostNetwork: false,
        fromMs,
      },
      NOW,
    );

  test.each<[string, string, string]>([
    ['as a source', '10.1.0.1', '8.8.8.8'],
    ['as a destination', '10.2.0.1', '10.1.0.1'],
  ])('%s waits for the next one', (_, source, destination) => {
    const owners = ended();
    const pending = new PendingBatches(owners);
    expect(pending.offer(batch(1, [[source, destination]]), NOW)).toEqual([]);
    next(owners, NOW - 1000);
    expect(numbers(pending.due(NOW + 1))).toEqual([1]);
    expect([...pending.takeOutcomes()]).toEqual([['resolved', 1]]);
  });

  test('who came in between is known at once', () => {
    const owners = ended();
    next(owners, NOW - 1000);
    expect(numbers(new PendingBatches(owners).offer(batch(1, [FINE]), NOW))).toEqual([1]);
  });

  test('waits no longer than SUCCESSOR_MS, and is waited for again when it is seen again', () => {
    const pending = new PendingBatches(ended());
    pending.offer(batch(1, [FINE]), NOW);
    expect(pending.due(NOW + SUCCESSOR_MS - 1)).toEqual([]);
    expect(numbers(pending.due(NOW + SUCCESSOR_MS))).toEqual([1]);
    expect([...pending.takeOutcomes()]).toEqual([['resolved', 1]]);
    const [later, toMs] = [NOW + 9000, NOW + 9000];
    expect(pending.offer(batch(2, [FINE], { toMs }), later)).toEqual([]);
    expect(numbers(pending.offer(batch(1, [FINE], { node: 'n2' }), NOW + SUCCESSOR_MS))).toEqual([1]);
  });
});

test('where there is no room the oldest is released', () => {
  const pending = new PendingBatches(known(), 250);
  expect(pending.offer(batch(1, [LATE, LATE]), NOW)).toEqual([]);
  expect(numbers(pending.offer(batch(2, [LATE, LATE]), NOW + 1))).toEqual([1]);
  expect([...pending.takeOutcomes()]).toEqual([['no_room', 1]]);
});

test('at the end all are released', () => {
  const pending = new PendingBatches(known());
  pending.offer(batch(1, [LATE]), NOW);
  pending.offer(batch(2, [FINE]), NOW);
  expect(numbers(pending.all())).toEqual([1, 2]);
  expect(pending.size).toBe(0);
});

describe('a position', () => {
  const at = (number: number, epoch = 'one') => new Map([['n1', { epoch, number }]]);

  test.each<[string, number[], string, Map<string, object>, Map<string, object>]>([
    ['nothing held', [], 'one', at(5), at(5)],
    ['from 4 on held', [4, 5], 'one', at(5), at(3)],
    ['all held', [1, 2], 'one', at(2), new Map()],
    ['held are of another epoch', [4, 5], 'before', at(5), at(5)],
    ['held came after it', [6], 'one', at(5), at(5)],
  ])('%s', (_, held, epoch, given, expected) => {
    const pending = new PendingBatches(known());
    for (const number of held) pending.offer(batch(number, [LATE], { epoch }), NOW);
    expect(pending.withoutHeld(given as ReturnType<typeof at>)).toEqual(expected);
  });
});

test('every batch comes out once, those of a node in order, whatever happens', () => {
  const step = fc.record({
    node: fc.constantFrom('n1', 'n2'),
    last: fc.integer({ min: 1, max: 12 }),
    wait: fc.nat(4000),
    reported: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.nat(2000), (steps, room) => {
      const owners = known();
      const pending = new PendingBatches(owners, room);
      const sent = { n1: 0, n2: 0 } as Record<string, number>;
      const out: Record<string, number[]> = { n1: [], n2: [] };
      const take = (batches: readonly ReceivedBatch[]) => {
        for (const { collector, span } of batches) out[collector.node]!.push(span.number);
      };
      let now = NOW;
      for (const { node, last, wait, reported } of steps) {
        now += wait;
        sent[node]!++;
        if (reported) appears(owners, `10.1.0.${last}`);
        take(pending.offer(batch(sent[node]!, [[`10.1.0.${last}`, '8.8.8.8']], { node, toMs: now }), now));
        take(pending.due(now));
        const position = pending.withoutHeld(new Map([[node, { epoch: 'one', number: sent[node]! }]]));
        expect(position.get(node)?.number ?? 0).toBe(out[node]!.length);
      }
      take(pending.all());
      for (const node of ['n1', 'n2']) expect(out[node]).toEqual(Array.from({ length: sent[node]! }, (_, i) => i + 1));
      expect(pending.size).toBe(0);
    }),
  );
});
