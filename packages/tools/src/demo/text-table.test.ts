import { expect, test } from '@jest/globals';
import { drawLive } from './live-view.ts';
import { fixedLine, fixedTitles, readableBytes, textTable } from './text-table.ts';

test('columns are aligned, lines have no blanks at their ends', () => {
  const columns = [
    { title: 'NAME', align: 'left' },
    { title: 'N', align: 'right' },
    { title: '', align: 'left' },
  ] as const;
  expect(
    textTable(columns, [
      ['a', '1', ''],
      ['longer', '100', 'x'],
    ]),
  ).toEqual(['NAME      N', 'a         1', 'longer  100  x']);
});

test('a line of given widths', () => {
  const columns = [
    ['ROW', 4],
    ['BYTES', -6],
    ['', 0],
  ] as const;
  expect([fixedTitles(columns), fixedLine(columns, ['a', '12', 'exact'])]).toEqual([
    'ROW    BYTES',
    'a         12  exact',
  ]);
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.00 kB'],
  [9994, '9.99 kB'],
  [9995, '10.0 kB'],
  [99_950, '100 kB'],
  [999_499, '999 kB'],
  [999_500, '1.00 MB'],
  [12_345_678, '12.3 MB'],
  [5e15, '5000 TB'],
])('%d bytes are %s', (bytes, expected) => expect(readableBytes(bytes)).toBe(expected));

const labels = { src_namespace: 'shop', src_pod: 'web', src_zone: 'a', dst_ip: '10.0.0.2', proto: 'TCP' };
const ROWS = [
  { labels: { ...labels, scope: 'unknown' }, rate: 0, total: 10, received: 0 },
  { labels: { ...labels, dst_ip: '203.0.113.10', scope: 'internet' }, rate: 5, total: 1000, received: 1000 },
  {
    labels: { ...labels, dst_pod: 'db', dst_namespace: 'data', dst_zone: 'b', scope: 'cross_zone' },
    rate: 1,
    total: 2000,
    received: 1,
  },
  {
    labels: { ...labels, dst_pod: 'db', dst_namespace: 'data', dst_zone: 'b', scope: 'cross_zone', dst_ip: 'fd00::2' },
    rate: 1,
    total: 500,
    received: 1,
  },
];

test('the live table adds up both families, largest first; zones below', () => {
  expect(drawLive(ROWS, undefined).split('\n').slice(2)).toEqual([
    'SOURCE    ZONE  DESTINATION   ZONE      PROTO   RATE     SENT  RECEIVED  SCOPE',
    'shop/web  a     data/db       b         TCP    2 B/s  2.50 kB       2 B  cross_zone',
    'shop/web  a     203.0.113.10  internet  TCP    5 B/s  1.00 kB   1.00 kB  internet',
    'shop/web  a     10.0.0.2      -         TCP    0 B/s     10 B       0 B  unknown',
    '',
    'FROM ZONE  TO ZONE    RATE     SENT  RECEIVED',
    'a          b         2 B/s  2.50 kB       2 B',
    'a          internet  5 B/s  1.00 kB   1.00 kB',
    'a          -         0 B/s     10 B       0 B',
    '',
    '',
  ]);
});

test('a small screen shows the largest and says how many more there are', () => {
  const many = Array.from({ length: 30 }, (_, i) => ({ ...ROWS[0]!, labels: { ...labels, dst_ip: `10.0.1.${i}` } }));
  const lines = drawLive(many, { rows: 24, columns: 40 }).split('\n');
  expect(lines.length).toBeLessThanOrEqual(24);
  expect(lines).toContain('... and 15 more');
});
