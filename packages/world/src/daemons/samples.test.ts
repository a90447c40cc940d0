import { describe, expect, test } from '@jest/globals';
import { readTotals, totalRise } from './samples.ts';

describe('a total is the sum of its rises', () => {
  const cases: [string, (number | null)[], number][] = [
    ['no sample', [], 0],
    ['one sample is no rise', [500], 0],
    ['from the zero before it', [0, 500], 500],
    ['rises and stays', [0, 5, 5, 9], 9],
    ['what the first sample holds does not count', [3, 5], 2],
    ['a fall counts from zero', [0, 10, 4, 6], 16],
    ['a restart with a zero', [0, 10, 0, 4], 14],
    ['stale markers are no samples', [0, 10, null, 12, null], 12],
    ['beyond 32 bits', [0, 2 ** 52], 2 ** 52],
  ];
  test.each(cases)('%s', (_, values, expected) => expect(totalRise(values)).toBe(expected));
});

const series = (name: string, values: unknown[], timestamps: number[], labels = {}) =>
  JSON.stringify({
    metric: { __name__: name, src_node: 'node-a', src_ip: '10.0.0.1', dst_ip: '10.0.0.2', proto: 'TCP', ...labels },
    values,
    timestamps,
  });

test('the four counters of a pair, in the order of their times, series of one pair added up', () => {
  const lines = [
    series('egressd_transmit_bytes_total', [100, 0], [2, 1]),
    series('egressd_transmit_bytes_total', [0, 11], [1, 2], { dst_pod: 'later' }),
    series('egressd_transmit_packets_total', [0, 2], [1, 2]),
    series('egressd_received_bytes_total', [0, 300], [1, 2]),
    series('egressd_received_packets_total', [0, 4], [1, 2]),
  ];
  expect(readTotals(`${lines.join('\n')}\n`)).toEqual(
    new Map([
      [
        'node-a',
        new Map([
          [
            '10.0.0.1 10.0.0.2 6',
            {
              ...{ source: '10.0.0.1', destination: '10.0.0.2', protocol: 6 },
              ...{ txBytes: 111, txPackets: 2, rxBytes: 300, rxPackets: 4 },
            },
          ],
        ]),
      ],
    ]),
  );
});

test.each([
  ['a metric', series('egressd_other_total', [], [])],
  ['a protocol', series('egressd_transmit_bytes_total', [], [], { proto: 'XTP' })],
])('%s that is not ours is an error', (_, line) => expect(() => readTotals(line)).toThrow(/not a series/));
