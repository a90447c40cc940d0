import { expect, test } from '@jest/globals';
import { PodTraffic } from './pod-traffic.ts';

const MIB = 2 ** 20;

/** What happens in a minute, in MiB: what moves from pods and to them, and what is counted. */
type Minute = readonly [rx: number, tx: number, counted: number];

/** A read a look, as the collector makes many. */
function follow(minutes: readonly Minute[], podTraffic = new PodTraffic()): boolean | undefined {
  let [rx, tx, counted] = [0, 0, 0];
  let found: boolean | undefined;
  for (const [more, moreTx, moreCounted] of minutes) {
    podTraffic.beginRead();
    podTraffic.endRead(counted * MIB);
    found = podTraffic.look([{ index: 7, rxBytes: rx * MIB, txBytes: tx * MIB }]);
    rx += more;
    tx += moreTx;
    counted += moreCounted;
  }
  return found;
}

const times = (count: number, minute: Minute): Minute[] => new Array<Minute>(count).fill(minute);
/** Looks until the first judgement. */
const FIRST = 7;

test.each<[string, readonly Minute[], boolean | undefined]>([
  ['nothing is counted', times(FIRST, [30, 30, 0]), true],
  ['a little is counted, of the node itself', times(FIRST, [300, 300, 5]), true],
  ['uploads, of which the answers are small', times(FIRST, [300, 6, 1]), true],
  ['all is counted', times(FIRST, [30, 30, 59]), false],
  ['each packet passes two links', times(FIRST, [60, 60, 58]), false],
  ['the smallest packets: 29 bytes are 43 on two links', times(FIRST, [43, 43, 29]), false],
  ['a tenth is counted', times(FIRST, [50, 50, 10]), false],
  ['little moves', times(FIRST, [5, 5, 0]), undefined],
  ['too early', times(FIRST - 1, [30, 30, 0]), undefined],
  ['a flood that a policy drops', times(FIRST, [1000, 1, 2]), undefined],
  ['the node is idle afterwards', [...times(FIRST, [30, 30, 0]), ...times(9, [0, 0, 0])], true],
  ['it is mended', [...times(FIRST, [30, 30, 0]), ...times(9, [30, 30, 60])], false],
  [
    'what moved last is counted a minute later',
    [...times(5, [0, 0, 0]), [500, 500, 0], [0, 0, 1000], [0, 0, 0]],
    false,
  ],
])('%s', (_, minutes, expected) => {
  expect(follow(minutes)).toBe(expected);
});

test('nothing follows where reads are rarer than looks', () => {
  const podTraffic = new PodTraffic();
  podTraffic.beginRead();
  podTraffic.endRead(0);
  const looks = Array.from({ length: 20 }, (_, i) => {
    const bytes = i * 100 * MIB;
    return podTraffic.look([{ index: 7, rxBytes: bytes, txBytes: bytes }]);
  });
  expect(looks.at(-1)).toBeUndefined();
});

test('what a link moved before its first look is not of the window', () => {
  const podTraffic = new PodTraffic();
  for (let i = 0; i < 20; i++) {
    podTraffic.beginRead();
    podTraffic.endRead(0);
    const link = { index: i, rxBytes: 1000 * MIB, txBytes: 1000 * MIB };
    expect(podTraffic.look([link, { ...link, index: i + 1 }])).toBeUndefined();
  }
});

test.each([
  ['links are not known', (podTraffic: PodTraffic) => podTraffic.look(undefined)],
  [
    'more was seen than is counted',
    (podTraffic: PodTraffic) => {
      podTraffic.endRead(undefined);
      return podTraffic.look([]);
    },
  ],
])('a window begins anew where %s', (_, interrupt) => {
  const podTraffic = new PodTraffic();
  follow(times(FIRST - 1, [30, 30, 0]), podTraffic);
  expect(interrupt(podTraffic)).toBeUndefined();
  expect(follow(times(FIRST - 1, [30, 30, 0]), podTraffic)).toBeUndefined();
  expect(follow(times(1, [30, 30, 0]), podTraffic)).toBeDefined();
});
