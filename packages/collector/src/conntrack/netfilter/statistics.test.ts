import { describe, expect, test } from '@jest/globals';
import { parseDrops, parseStatistics } from './statistics.ts';

/** As Linux 6.18 prints them. */
const STATISTICS = `entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart
0000000a  00000000 00000000 00000000 00000003 00000000 00000000 00000000 00000000 00000010 00000001 00000002 00000000  00000000 00000000 00000000 00000000
0000000a  00000000 00000000 00000000 00000001 00000000 00000000 00000000 00000000 00000001 00000000 000000ff 00000000  00000000 00000000 00000000 00000000
`;
const SOCKETS = `sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
000000006e519678 12  7702       00000000 0        0        0     2        0        960709
00000000b3ec73b3 12  3046002735 00000004 0        0        0     2        77       960710
`;

test('statistics are summed over the processors', () => {
  expect(parseStatistics(STATISTICS)).toEqual({ invalid: 4, insert_failed: 17, drop: 1, early_drop: 257 });
});

describe('a text that is something else gives nothing', () => {
  const headed = (line: string) => `${STATISTICS.split('\n')[0]}\n${line}\n`;
  test.each(['', '\n', STATISTICS.split('\n')[0]!, 'a b c\n1 2 3\n', headed('00000001'), headed('xyz')])('%j', (text) =>
    expect(parseStatistics(text)).toBeUndefined(),
  );
});

test.each([
  [960709, 0],
  [960710, 77],
  [1, undefined],
])('drops of the socket %i', (inode, expected) => expect(parseDrops(SOCKETS, inode)).toBe(expected));

test('no drops where the kernel says nothing', () => {
  expect(parseDrops('', 1)).toBeUndefined();
  expect(parseDrops('sk Eth Pid\n1 2 3\n', 1)).toBeUndefined();
});
