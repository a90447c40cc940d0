import { describe, expect, test } from '@jest/globals';
import type { Part } from './part.ts';
import { MAX_REFUSALS, PROBES, RequestSplitter, type SplitterOptions } from './request-splitter.ts';

/** Sends every part to a receiver that refuses some units; requests hold at most `room` units. */
function run(units: number, isBad: (unit: number) => boolean, options: SplitterOptions = {}) {
  const room = 1000;
  const splitter = new RequestSplitter(units, options);
  const sizes: number[] = [];
  const accepted = new Uint8Array(units);
  let requests = 0;
  for (let part = splitter.next; part !== undefined; part = splitter.next) {
    const end = Math.min(part.to, part.from + room);
    splitter.cut(end);
    requests++;
    sizes.push(end - part.from);
    if (holdsBad({ from: part.from, to: end }, isBad)) splitter.refuse('content');
    else {
      for (let unit = part.from; unit < end; unit++) accepted[unit]!++;
      splitter.accept(end - part.from);
    }
  }
  return { splitter, accepted, requests, sizes };
}

function holdsBad(part: Part, isBad: (unit: number) => boolean): boolean {
  for (let unit = part.from; unit < part.to; unit++) if (isBad(unit)) return true;
  return false;
}

describe('RequestSplitter', () => {
  test('an empty frame has none', () => expect(new RequestSplitter(0).next).toBeUndefined());

  test.each([
    ['none', []],
    ['the first', [0]],
    ['the last', [2499]],
    ['some', [3, 700, 701, 1999, 2000]],
    ['the probes of a request', [0, 125, 250, 375, 500]],
    ['a run of ten', [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]],
  ])('%s refused: every other unit is accepted once', (_name, bad: number[]) => {
    const { splitter, accepted } = run(2500, (unit) => bad.includes(unit));
    expect([...splitter.isolated].sort((a, b) => a - b)).toEqual(bad);
    expect(splitter.notIsolated).toBe(0);
    for (let unit = 0; unit < 2500; unit++) expect(accepted[unit]).toBe(bad.includes(unit) ? 0 : 1);
  });

  test('all refused: abandoned after one request and a few probes', () => {
    const { splitter, requests } = run(100_000, () => true);
    expect(requests).toBe(1 + PROBES);
    expect(splitter.accepted).toBe(0);
    expect(splitter.isolated.length + splitter.notIsolated).toBe(100_000);
  });

  test('a small frame, all refused: each by itself', () => {
    const { splitter } = run(3, () => true);
    expect(splitter.isolated).toEqual([0, 1, 2]);
    expect(splitter.accepted).toBe(0);
  });

  test('half of everything refused, here and there: bounded, and nothing is accepted twice or lost', () => {
    const { splitter, accepted, requests } = run(100_000, (unit) => unit % 2 === 1);
    expect(requests).toBeLessThan(3 * MAX_REFUSALS);
    expect(Math.max(...accepted)).toBe(1);
    expect(splitter.isolated.length + splitter.notIsolated + splitter.accepted).toBe(100_000);
  });

  test('a later request all refused: the others go through', () => {
    const { splitter } = run(3000, (unit) => unit >= 1000 && unit < 2000);
    expect(splitter.accepted).toBe(2000);
    expect(splitter.isolated.length).toBeGreaterThan(0);
    expect(splitter.isolated.length + splitter.notIsolated).toBe(1000);
  });

  test('too large a body is bisected, and nothing isolated', () => {
    const splitter = new RequestSplitter(1000);
    const sizes: number[] = [];
    for (let part = splitter.next; part !== undefined; part = splitter.next) {
      splitter.cut(part.to);
      const size = part.to - part.from;
      if (size > 130) splitter.refuse('size');
      else {
        sizes.push(size);
        splitter.accept(size);
      }
    }
    expect(sizes).toEqual([125, 125, 125, 125, 125, 125, 125, 125]);
    expect(splitter.isolated).toEqual([]);
  });

  describe('deltas, of which a refused request may have been stored in part', () => {
    test('whatever is refused, all of it is isolated, and nothing is in doubt', () => {
      const { splitter, accepted } = run(3000, (unit) => unit >= 1000 && unit < 2000, { careful: true });
      expect(splitter.isolated).toHaveLength(1000);
      expect([splitter.notIsolated, splitter.inDoubt]).toEqual([0, []]);
      expect(Math.max(...accepted)).toBe(1);
    });

    test('all refused: what was in a request is in doubt, what was in none is not', () => {
      const { splitter } = run(3000, () => true, { careful: true });
      const doubtful = splitter.inDoubt.reduce((sum, { from, to }) => sum + to - from, 0);
      expect(splitter.isolated.length + doubtful).toBe(1000);
      expect(splitter.isolated.length + splitter.notIsolated).toBe(3000);
    });

    test('after a frame of which nothing was taken, units by themselves go first: nothing is in doubt', () => {
      const { splitter, requests } = run(3000, () => true, { careful: true, probeFirst: true });
      expect([requests, splitter.inDoubt]).toEqual([PROBES, []]);
    });
  });

  describe('suspects', () => {
    test('go last, in requests of their own, and more at once as they are accepted', () => {
      const { splitter, sizes } = run(100, () => false, { suspectsFrom: 80 });
      expect(sizes).toEqual([80, 1, 2, 4, 8, 5]);
      expect(splitter.accepted).toBe(100);
    });

    test('most of them wait where the first are refused', () => {
      const { splitter, sizes } = run(100, (unit) => unit >= 80, { suspectsFrom: 80 });
      expect(sizes).toEqual([80, ...Array(8).fill(1)]);
      expect([splitter.isolated.length, splitter.postponed, splitter.notIsolated]).toEqual([8, 12, 0]);
    });
  });

  describe('a receiver that fails (5xx) for long', () => {
    /** Fails with requests that hold some units. */
    function fail(units: number, isBad: (unit: number) => boolean, turns = 10_000) {
      const splitter = new RequestSplitter(units);
      const accepted = new Uint8Array(units);
      for (let part = splitter.next; part !== undefined && turns-- > 0; part = splitter.next) {
        splitter.cut(part.to);
        if (holdsBad(part, isBad)) splitter.failing();
        else {
          for (let unit = part.from; unit < part.to; unit++) accepted[unit]!++;
          splitter.accept(part.to - part.from);
        }
      }
      return { splitter, accepted };
    }

    test.each([[[0]], [[999]], [[3, 500, 501]], [Array.from({ length: 40 }, (_, i) => 100 + i)]])(
      'with some units: they are isolated, the others accepted once',
      (bad) => {
        const { splitter, accepted } = fail(1000, (unit) => bad.includes(unit));
        expect(splitter.isolated.toSorted((a, b) => a - b)).toEqual(bad);
        expect(splitter.failed).toBe(bad.length);
        for (let unit = 0; unit < 1000; unit++) expect(accepted[unit]).toBe(bad.includes(unit) ? 0 : 1);
      },
    );

    test('with everything: all is as it was', () => {
      for (let turns = 1; turns < 40; turns++) {
        const { splitter } = fail(1000, () => true, turns);
        const open = splitter.remaining.reduce((sum, { from, to }) => sum + to - from, 0);
        expect([open, splitter.isolated]).toEqual([1000, []]);
      }
      expect(fail(1000, () => true, 9).splitter.remaining).toEqual([{ from: 0, to: 1000 }]);
    });
  });

  test('abandoning leaves the rest', () => {
    const splitter = new RequestSplitter(10);
    splitter.cut(4);
    splitter.abandon();
    expect(splitter.next).toBeUndefined();
    expect(splitter.notIsolated).toBe(10);
  });
});
