import { describe, expect, test } from '@jest/globals';
import { compareSamples, parseSample, type Sample } from './sample.ts';

const PAGE = `# HELP egressd_exporter_receiver_streams Collectors whose stream is open.
# TYPE egressd_exporter_receiver_streams gauge
egressd_exporter_receiver_streams 3
egressd_exporter_nodes 4
egressd_exporter_nodes_without_collector 1
egressd_exporter_receiver_batches_total 17
egressd_exporter_flows_total{end="source"} 20
egressd_exporter_flows_total{end="a } b"} 1e+02
process_cpu_seconds_total 4
`;
const SAMPLE: Sample = { streams: 3, nodes: 4, nodesWithoutCollector: 1, batches: 17, flows: 120 };

test('metrics of an exporter, and of other programs', () => {
  expect(parseSample(PAGE)).toEqual(SAMPLE);
  expect(parseSample('egressd_exporter_receiver_streams 0\n')).toEqual({
    streams: 0,
    nodes: 0,
    nodesWithoutCollector: 0,
    batches: 0,
    flows: 0,
  });
  expect(parseSample('<html>')).toBeUndefined();
  expect(parseSample('egressd_conntrack_entries 4\n')).toBeUndefined();
});

describe('two samples', () => {
  const now = (changed: Partial<Sample>): Sample => ({ ...SAMPLE, nodesWithoutCollector: 0, ...changed });

  test.each<[string, Sample, boolean, unknown[]]>([
    [
      'all is well',
      now({ batches: 19, flows: 130 }),
      true,
      [
        'ok: collectors that stream to the exporter: 3, nodes that it knows: 4',
        'ok: counters increase: batches +2, flows +10',
      ],
    ],
    ['no collector streams', now({ streams: 0 }), false, [expect.stringContaining('no collector streams')]],
    ['nothing comes', now({}), false, [expect.any(String), expect.stringContaining('counters do not increase')]],
    [
      'no pod is known',
      now({ batches: 19 }),
      false,
      [expect.any(String), expect.stringContaining('no batch has a flow of a pod')],
    ],
    [
      'a node without a collector',
      now({ batches: 19, flows: 130, nodesWithoutCollector: 2 }),
      true,
      [expect.any(String), expect.any(String), expect.stringContaining('nodes without a collector: 2')],
    ],
  ])('%s', (_, later, ok, lines) => {
    expect(compareSamples(SAMPLE, later)).toEqual({ ok, lines });
  });
});
