import { describe, expect, test } from '@jest/globals';
import { readArguments } from './arguments.ts';
import { bytesOf, chartLimits } from './chart-limits.ts';
import { NOT_PROBED, together, withAnswer } from './probes.ts';
import type { Row } from './row.ts';
import { ROWS } from './rows/table.ts';
import { type Result, wrongOf } from './verdict.ts';

const row = (name: string, quick = false): Row => ({
  ...{ name, does: '', quick, seconds: { quick: 1, full: 1 } },
  attack: async () => ({}),
  isProof: () => true,
});
const TABLE = [row('one'), row('two', true)];

describe('arguments', () => {
  test.each([
    ['all', [], ['one', 'two']],
    ['quick', ['--quick'], ['two']],
    ['named', ['one'], ['one']],
    ['named, short', ['--quick', 'one'], ['one']],
  ])('%s', (_, args, expected) => {
    const options = readArguments(args, TABLE);
    if (typeof options === 'string') throw new Error(options);
    expect(options.rows.map(({ name }) => name)).toEqual(expected);
  });

  test.each([
    ['a row that is not there', ['three'], /no row three/],
    ['another option', ['--fast'], /--fast/],
    ['help', ['--help'], /^$/],
  ])('%s', (_, args, expected) => expect(readArguments(args, TABLE)).toMatch(expected));

  test('no two rows have the same name', () => {
    const names = ROWS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});

test("the chart's limits", () =>
  expect(chartLimits()).toEqual({
    collectorBytes: 1024 ** 3,
    exporterBytes: 1024 ** 3,
    exporterNodeOptions: '--max-old-space-size-percentage=70',
  }));

test('quantities', () => {
  expect([bytesOf('160Mi'), bytesOf('2Gi')]).toEqual([160 * 1024 ** 2, 2 * 1024 ** 3]);
  expect(() => bytesOf('1G')).toThrow('not a quantity');
});

test('probes are counted, and the longest answer is kept', () => {
  const one = ['200 3', '0 5000', '200 40'].reduce(withAnswer, NOT_PROBED);
  expect(one).toEqual({ asked: 3, answered: 2, longestMs: 5000 });
  expect(together([one, withAnswer(NOT_PROBED, '200 7')])).toEqual({ asked: 4, answered: 3, longestMs: 5000 });
});

describe('verdict', () => {
  const good: Result = {
    name: 'row',
    ended: undefined,
    kills: 0,
    memory: { collector: 1, exporter: 1 },
    probes: { collectors: { asked: 2, answered: 2, longestMs: 5 }, exporter: { asked: 1, answered: 1, longestMs: 9 } },
    sums: { pairs: 9, kernelBytes: 5, databaseBytes: 5, bytesDifference: 0, packetsDifference: 0, wrong: [] },
    done: {},
    proven: true,
    after: undefined,
  };

  test('a good row has nothing wrong', () => expect(wrongOf(good)).toEqual([]));

  test.each<[string, Partial<Result>, RegExp]>([
    ['a daemon that ended', { ended: 'the exporter has ended (SIGKILL)' }, /has ended/],
    ['a process that was killed', { kills: 1 }, /for want of memory/],
    [
      'a probe without an answer',
      { probes: { ...good.probes, exporter: { asked: 3, answered: 2, longestMs: 1 } } },
      /1 of 5/,
    ],
    ['a stall', { probes: { ...good.probes, exporter: { asked: 1, answered: 1, longestMs: 1000 } } }, /took 1000 ms/],
    ['no probes', { probes: { collectors: NOT_PROBED, exporter: NOT_PROBED } }, /nothing was probed/],
    ['no attack', { proven: false }, /proves nothing/],
    ['nothing compared', { sums: { ...good.sums!, pairs: 0 } }, /only 0 honest pairs/],
    ['a bad end', { after: 'it took too long' }, /too long/],
  ])('%s is wrong', (_, part, expected) =>
    expect(wrongOf({ ...good, ...part })).toEqual([expect.stringMatching(expected)]),
  );
});
