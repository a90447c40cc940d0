import { describe, expect, test } from '@jest/globals';
import { judge, type Reading, readPage } from './reading.ts';

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
const READING: Reading = { streams: 3, nodes: 4, lacking: 1, batches: 17, flows: 120 };

test('a page of an exporter, and pages of others', () => {
  expect(readPage(PAGE)).toEqual(READING);
  expect(readPage('egressd_exporter_receiver_streams 0\n')).toEqual({
    streams: 0,
    nodes: 0,
    lacking: 0,
    batches: 0,
    flows: 0,
  });
  expect(readPage('<html>')).toBeUndefined();
  expect(readPage('egressd_conntrack_entries 4\n')).toBeUndefined();
});

describe('what two readings say', () => {
  const now = (changed: Partial<Reading>): Reading => ({ ...READING, lacking: 0, ...changed });

  test.each<[string, Reading, boolean, unknown[]]>([
    [
      'all is well',
      now({ batches: 19, flows: 130 }),
      true,
      ['ok: collectors stream to the exporter: 3, and it knows of 4 nodes', 'ok: counters move: batches +2, flows +10'],
    ],
    ['nobody streams', now({ streams: 0 }), false, [expect.stringContaining('no collector streams')]],
    ['nothing comes', now({}), false, [expect.any(String), expect.stringContaining('counters do not move')]],
    ['no pod is known', now({ batches: 19 }), false, [expect.any(String), expect.stringContaining('no flow of a pod')]],
    [
      'a node is left out',
      now({ batches: 19, flows: 130, lacking: 2 }),
      true,
      [expect.any(String), expect.any(String), expect.stringContaining('nodes without a collector: 2')],
    ],
  ])('%s', (_, later, ok, lines) => {
    expect(judge(READING, later)).toEqual({ ok, lines });
  });
});
