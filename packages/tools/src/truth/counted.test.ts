import { NODE_A, NODE_B } from '@egressd/world/network/layout';
import { sumTransfers, type Transfer } from '@egressd/world/reference/transfers';
import { expect, test } from '@jest/globals';
import { increaseOn } from './counted.ts';

const [one, other] = NODE_A.pods.map(({ address }) => address.v4) as [string, string];
const elsewhere = NODE_B.pods[0]!.address.v4;
const transfer = (source: string, destination: string, packets: number): Transfer => ({
  ...{ source, destination, protocol: 6, packets },
  bytes: packets * 100,
});

test('what moved between two reads, reported from both ends where both are pods of the node', () => {
  const before = sumTransfers([transfer(one, other, 3), transfer(elsewhere, one, 7)]);
  const after = sumTransfers([
    transfer(one, other, 5),
    transfer(elsewhere, one, 8),
    transfer(one, '203.0.113.10', 1),
    transfer(elsewhere, '203.0.113.10', 50),
  ]);
  expect(increaseOn(NODE_A, before, after)).toEqual({ packets: 2 * 2 + 1 + 1, bytes: 600 });
  expect(increaseOn(NODE_A, after, after)).toEqual({ packets: 0, bytes: 0 });
});
