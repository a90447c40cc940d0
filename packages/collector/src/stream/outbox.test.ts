import { emptyColumns } from '@egressd/flow/columns';
import { describe, expect, test } from '@jest/globals';
import { type FrozenBatch, freezeBatch, renumbered } from '../state/frozen-batch.ts';
import { Outbox } from './outbox.ts';

function batch(number: number, bytes = 10): FrozenBatch {
  return { number, messages: [new Uint8Array(bytes)], bytes, rows: 1, flowBytes: 100, frozenMs: number * 1000 };
}

function filled(...numbers: number[]): Outbox {
  const outbox = new Outbox(100);
  for (const number of numbers) outbox.push(batch(number));
  return outbox;
}

describe('outbox', () => {
  test('counts unacked batches', () => {
    const outbox = filled(1, 2, 3);
    expect([outbox.length, outbox.bytes, outbox.newest, outbox.ageMs(5000)]).toEqual([3, 30, 3, 4000]);
  });

  test('is empty at first', () => {
    const outbox = new Outbox();
    expect([outbox.length, outbox.bytes, outbox.newest, outbox.ageMs(5000), outbox.hasRoom]).toEqual([
      0,
      0,
      0,
      0,
      true,
    ]);
  });

  test('an age is never negative, whatever the clock does', () => expect(filled(9).ageMs(0)).toBe(0));

  test('discards up to what is committed', () => {
    const outbox = filled(1, 2, 3);
    outbox.commit(2);
    expect([outbox.length, outbox.bytes, outbox.after(0)?.number]).toEqual([1, 10, 3]);
    outbox.commit(99);
    expect([outbox.length, outbox.bytes, outbox.after(0)]).toEqual([0, 0, undefined]);
  });

  test('an old or zero commit discards nothing', () => {
    const outbox = filled(3, 4);
    outbox.commit(0);
    outbox.commit(2);
    expect(outbox.length).toBe(2);
  });

  test('finds the next to send', () => {
    const outbox = filled(1, 2, 3);
    expect([outbox.after(0)?.number, outbox.after(2)?.number, outbox.after(3)]).toEqual([1, 3, undefined]);
    expect(outbox.allAfter(1).map((one) => one.number)).toEqual([2, 3]);
    expect(outbox.allAfter(3)).toEqual([]);
  });

  test('a rejected batch leaves a hole', () => {
    const outbox = filled(1, 2, 3);
    expect(outbox.reject(2)?.number).toBe(2);
    expect(outbox.reject(2)).toBeUndefined();
    expect([outbox.length, outbox.bytes, outbox.after(1)?.number]).toEqual([2, 20, 3]);
  });

  test('has room until its bytes are used up, and again when they are committed', () => {
    const outbox = new Outbox(20);
    outbox.push(batch(1, 19));
    expect(outbox.hasRoom).toBe(true);
    outbox.push(batch(2, 500));
    expect(outbox.hasRoom).toBe(false);
    outbox.commit(2);
    expect(outbox.hasRoom).toBe(true);
  });

  test('reports which batches were committed or rejected', () => {
    const discarded: (readonly number[])[] = [];
    const outbox = new Outbox(100, (numbers) => discarded.push(numbers));
    for (const number of [1, 2, 3, 4]) outbox.push(batch(number));
    outbox.commit(2);
    outbox.commit(2);
    outbox.reject(3);
    outbox.reject(3);
    expect(discarded).toEqual([[1, 2], [3]]);
  });

  test('continues where another one ended: what may have been sent counts as sent', () => {
    const outbox = new Outbox(100);
    outbox.restore([batch(3), batch(4)], 5);
    expect([outbox.length, outbox.bytes, outbox.newest, outbox.lastSent]).toEqual([2, 20, 5, 5]);
    outbox.push(batch(6));
    outbox.markSent(6);
    outbox.markSent(3);
    expect(outbox.lastSent).toBe(6);
  });

  test('another epoch: what was sent is discarded, the rest gets new numbers', () => {
    const outbox = filled(1, 2, 3, 4);
    outbox.markSent(2);
    const left = outbox.beginEpoch((one, number) => (one.number === 3 ? undefined : { ...one, number }));
    expect(left.map(({ number, frozenMs }) => [number, frozenMs])).toEqual([[1, 4000]]);
    expect([outbox.length, outbox.bytes, outbox.newest, outbox.lastSent]).toEqual([1, 10, 1, 0]);
  });

  test('numbers only go up', () => {
    expect(() => filled(2, 2)).toThrow('BUG: batch 2 after batch 2');
    const outbox = filled(2);
    outbox.commit(2);
    expect(() => outbox.push(batch(1))).toThrow('BUG: batch 1 after batch 2');
  });
});

describe('freezing', () => {
  const columns = emptyColumns(3, 2);
  columns.destination.fill(1);
  columns.txBytes.set([1, 20, 300]);
  columns.rxBytes.set([4000, 50000, 600000]);
  const span = { number: 7, fromMs: 1000, toMs: 2000 };

  test('says what a batch is worth', () => {
    const frozen = freezeBatch(span, columns, 2500);
    expect(frozen).toMatchObject({ number: 7, rows: 3, flowBytes: 654321, frozenMs: 2500 });
    expect(frozen.bytes).toBe(frozen.messages[0]!.length);
  });

  test('the same rows under another number', () => {
    const batch = renumbered(freezeBatch(span, columns, 2500), 9);
    expect(batch).toEqual(freezeBatch({ ...span, number: 9 }, columns, 2500));
  });

  test('an empty batch is a batch', () => {
    expect(freezeBatch(span, emptyColumns(0, 0), 0)).toMatchObject({ rows: 0, flowBytes: 0, messages: { length: 1 } });
  });
});
