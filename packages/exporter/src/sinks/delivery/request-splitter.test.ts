import { describe, expect, test } from '@jest/globals';
import { MAX_REFUSALS, type Part, PROBES, RequestSplitter } from './request-splitter.ts';

/** Sends every part to a receiver that refuses some units; requests hold at most `room` units. */
function run(units: number, isBad: (unit: number) => boolean, room = 1000) {
  const parts = new RequestSplitter(units);
  const accepted = new Uint8Array(units);
  let requests = 0;
  for (let part = parts.next; part !== undefined; part = parts.next) {
    const end = Math.min(part.to, part.from + room);
    parts.cut(end);
    requests++;
    if (holdsBad({ from: part.from, to: end }, isBad)) parts.refuse('content');
    else {
      for (let unit = part.from; unit < end; unit++) accepted[unit]!++;
      parts.accept(end - part.from);
    }
  }
  return { parts, accepted, requests };
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
    const { parts, accepted } = run(2500, (unit) => bad.includes(unit));
    expect([...parts.isolated].sort((a, b) => a - b)).toEqual(bad);
    expect(parts.notIsolated).toBe(0);
    for (let unit = 0; unit < 2500; unit++) expect(accepted[unit]).toBe(bad.includes(unit) ? 0 : 1);
  });

  test('all refused: given up after one request and a few probes', () => {
    const { parts, requests } = run(100_000, () => true);
    expect(requests).toBe(1 + PROBES);
    expect(parts.accepted).toBe(0);
    expect(parts.isolated.length + parts.notIsolated).toBe(100_000);
  });

  test('a small frame, all refused: each by itself', () => {
    const { parts } = run(3, () => true);
    expect(parts.isolated).toEqual([0, 1, 2]);
    expect(parts.accepted).toBe(0);
  });

  test('half of everything refused, here and there: bounded, and nothing is accepted twice or forgotten', () => {
    const { parts, accepted, requests } = run(100_000, (unit) => unit % 2 === 1);
    expect(requests).toBeLessThan(3 * MAX_REFUSALS);
    expect(Math.max(...accepted)).toBe(1);
    expect(parts.isolated.length + parts.notIsolated + parts.accepted).toBe(100_000);
  });

  test('a later request all refused: the others go through', () => {
    const { parts } = run(3000, (unit) => unit >= 1000 && unit < 2000);
    expect(parts.accepted).toBe(2000);
    expect(parts.isolated.length).toBeGreaterThan(0);
    expect(parts.isolated.length + parts.notIsolated).toBe(1000);
  });

  test('too large a body is halved without searching', () => {
    const parts = new RequestSplitter(1000);
    const sizes: number[] = [];
    for (let part = parts.next; part !== undefined; part = parts.next) {
      parts.cut(part.to);
      const size = part.to - part.from;
      if (size > 130) parts.refuse('size');
      else {
        sizes.push(size);
        parts.accept(size);
      }
    }
    expect(sizes).toEqual([125, 125, 125, 125, 125, 125, 125, 125]);
    expect(parts.isolated).toEqual([]);
  });

  test('giving up leaves the rest', () => {
    const parts = new RequestSplitter(10);
    parts.cut(4);
    parts.abandon();
    expect(parts.next).toBeUndefined();
    expect(parts.notIsolated).toBe(10);
  });
});
