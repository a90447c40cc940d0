import { createLog } from '@egressd/daemon/log';
import { expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { createReceiverMetrics } from './metrics.ts';
import type { Collector } from './received.ts';
import { StreamReport } from './stream-report.ts';

const COLLECTOR: Collector = {
  node: 'node-a',
  bootId: '',
  epoch: 'e',
  version: '1',
  settings: { excludeNamespaces: [], groupPublicIps: false, sendTrafficDelta: undefined },
  peer: undefined,
  certificate: { kind: 'any' },
};

test('a batch number that jumps is counted as a jump, and missing batches as missing', async () => {
  const registry = new Registry();
  const none = () => 0;
  let lines = '';
  const log = createLog('info', (line) => {
    lines += line;
  });
  const report = new StreamReport(log, createReceiverMetrics(registry, none, { streams: 1, by: 'memory' }, none, none));
  report.missing(COLLECTOR, 3, 10);
  report.missing(COLLECTOR, 9e15, 9e15 + 11);
  const metrics = await registry.metrics();
  expect(metrics).toContain('egressd_exporter_receiver_batches_missing_total 3\n');
  expect(metrics).toContain('egressd_exporter_receiver_batch_number_jumps_total 1\n');
  expect(lines).toContain('msg="batch number jumped, ');
});
