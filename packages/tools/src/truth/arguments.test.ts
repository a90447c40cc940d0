import { sumOf } from '@egressd/world/daemons/metric-text';
import { describe, expect, test } from '@jest/globals';
import { readArguments } from './arguments.ts';
import type { Row } from './row.ts';
import { ROWS } from './rows/table.ts';

const row = (name: string, quick = false): Row => ({ name, does: '', quick, fault: async () => undefined });
const TABLE = [row('one'), row('two', true), row('three', true), { ...row('elsewhere'), worlds: [] }];

describe('which rows, with which seeds', () => {
  const cases: [string, string[], unknown][] = [
    ['all', [], [['one', 'two', 'three'], [1]]],
    ['named', ['three', 'one'], [['one', 'three'], [1]]],
    ['quick', ['--quick'], [['two', 'three'], [1]]],
    ['seeds', ['two', '--seed', '7', '--seeds', '3'], [['two'], [7, 8, 9]]],
  ];
  test.each(cases)('%s', (_, args, expected) => {
    const options = readArguments(args, TABLE);
    if (typeof options === 'string') throw new Error(options);
    expect([options.rows.map(({ name }) => name), options.seeds]).toEqual(expected);
  });

  test.each([
    ['a row that is not there', ['four'], /no row four/],
    ['a row of another world', ['elsewhere'], /elsewhere makes no sense in the world routed/],
    ['a world that is not there', ['--world', 'flat'], /--world: expected one of routed/],
    [
      'a world with a bound instead',
      ['--world', 'offloaded'],
      /--world offloaded: .*npm run demo -- --once --world offloaded/,
    ],
    ['a row of conntrack alone', ['one', '--source', 'ebpf'], /one makes no sense with --source ebpf/],
    ['a source that is not there', ['--source', 'pcap'], /--source: expected/],
    ['a seed that is no number', ['--seed', 'x'], /--seed: expected/],
    ['no seed at all', ['--seeds', '0'], /--seeds: expected/],
    ['another option', ['--fast'], /--fast/],
    ['help', ['--help'], /^$/],
  ])('%s', (_, args, expected) => expect(readArguments(args, TABLE)).toMatch(expected));
});

test('every row has a name of its own and one sentence, and some are quick', () => {
  expect(new Set(ROWS.map(({ name }) => name)).size).toBe(ROWS.length);
  expect(ROWS.filter(({ name, does }) => !/^[a-z0-9-]+$/.test(name) || !/^[A-Z].*\.$/.test(does))).toEqual([]);
  expect(ROWS.filter(({ quick }) => quick).length).toBeGreaterThan(1);
});

describe('a sum of a metric', () => {
  const PAGE = ['# HELP a A.', 'a{x="1",y="2"} 3', 'a{x="1"} 4.5', 'a_total 9', 'b{x="1"} 1e+06', ''].join('\n');
  const cases: [string, Record<string, string>, number][] = [
    ['a', {}, 7.5],
    ['a', { x: '1' }, 7.5],
    ['a', { y: '2' }, 3],
    ['a', { y: '3' }, 0],
    ['a_total', {}, 9],
    ['b', { x: '1' }, 1e6],
    ['c', {}, 0],
  ];
  test.each(cases)('%s %j', (name, labels, expected) => expect(sumOf(PAGE, name, labels)).toBe(expected));
});
