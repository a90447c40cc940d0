import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { RULES_FILE, readAlerts } from './alerts.ts';

const PROMTOOL = fileURLToPath(new URL('../../../../.lab/debian/usr/bin/promtool', import.meta.url));
const DAY = 86_400;

/**
 * What each alert needs to fire, and what does not make it fire: series in Prometheus' notation, a value a minute. Counters begin at
 * zero, as `increase()` wants it. Time begins at zero too: it is what `time()` says after the minutes that have gone by.
 */
const CASES: Readonly<Record<string, { readonly bad: string; readonly values: string; readonly good: string }>> = {
  EgressdNodesWithoutCollector: { bad: 'egressd_exporter_nodes_without_collector', values: '2x120', good: '0x120' },
  EgressdNoCollectors: { bad: 'egressd_exporter_receiver_streams', values: '0x120', good: '1x120' },
  EgressdAccountingOff: {
    bad: 'egressd_exporter_node_problems{reason="accounting_off"}',
    values: '1x120',
    good: '0x120',
  },
  EgressdCountersZeroed: {
    bad: 'egressd_exporter_node_problems{reason="counters_zeroed"}',
    values: '1x120',
    good: '0x120',
  },
  EgressdEndsLost: { bad: 'egressd_collector_conntrack_event_overruns_total', values: '0+1x120', good: '5x120' },
  EgressdConntrackTableNearlyFull: {
    bad: 'egressd_collector_conntrack_table_entries',
    values: '95x120',
    good: '50x120',
  },
  EgressdStateGivenUp: { bad: 'egressd_collector_state_degraded', values: '1x120', good: '0x120' },
  EgressdSinkBehind: { bad: 'egressd_exporter_sink_pending_age_seconds{sink="a"}', values: '700x120', good: '60x120' },
  EgressdBytesGivenUp: {
    bad: 'egressd_dropped_events_total{sink="a",reason="series_ended"}',
    values: '0+1x120',
    good: '5x120',
  },
  EgressdBatchesRejected: { bad: 'egressd_collector_batches_rejected_total', values: '0+1x120', good: '5x120' },
  EgressdSeriesFolded: { bad: 'egressd_exporter_sink_folded_series{sink="a"}', values: '9x120', good: '0x120' },
  EgressdPairsFolded: { bad: 'egressd_collector_pairs_folded_total{into="public"}', values: '0+1x120', good: '5x120' },
  EgressdCertificateExpires: {
    bad: 'egressd_collector_tls_certificate_expires_timestamp_seconds',
    values: `${2 * DAY}x120`,
    good: `${30 * DAY}x120`,
  },
  EgressdCertificateUnusable: { bad: 'egressd_exporter_tls_reload_failures_total', values: '0+1x120', good: '5x120' },
  EgressdKubernetesSilent: {
    bad: 'egressd_exporter_kubernetes_last_response_timestamp_seconds{resource="pods"}',
    values: '60x120',
    good: '60+60x120',
  },
  EgressdInsecureStream: { bad: 'egressd_collector_stream_insecure', values: '1x120', good: '0x120' },
};

/** What an expression needs to be told of as well. */
const BESIDE = [
  { series: 'egressd_collector_conntrack_table_max_entries', values: '100x120' },
  { series: 'egressd_collector_conntrack_event_gaps_total', values: '0x120' },
  { series: 'egressd_collector_conntrack_event_overruns_total', values: '0x120' },
];

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'egressd-rules-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function promtool(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(PROMTOOL, args, { encoding: 'utf8' });
  return { status, output: `${stdout}${stderr}` };
}

/** How many instances of an alert there are after two hours. */
function firing(name: string, series: string, values: string, expected: number): void {
  const file = join(folder, 'test.json');
  const alerts = readAlerts();
  const { expr } = alerts.find(({ alert }) => alert === name)!;
  const query = `count(ALERTS{alertname="${name}",alertstate="firing"}) or vector(0)`;
  const tests = [
    {
      interval: '1m',
      input_series: [{ series, values }, ...BESIDE.filter((each) => each.series !== series)],
      promql_expr_test: [{ expr: query, eval_time: '115m', exp_samples: [{ labels: '{}', value: expected }] }],
    },
  ];
  writeFileSync(file, JSON.stringify({ rule_files: [RULES_FILE], evaluation_interval: '1m', tests }));
  expect({ expr, ...promtool('test', 'rules', file) }).toMatchObject({ status: 0 });
}

test('Prometheus takes the rules', () => {
  expect(promtool('check', 'rules', RULES_FILE)).toMatchObject({ status: 0 });
});

test('every alert is tried', () => {
  expect(Object.keys(CASES)).toEqual(readAlerts().map(({ alert }) => alert));
});

test.each(Object.entries(CASES))('%s fires where it should, and only there', (name, { bad, values, good }) => {
  firing(name, bad, values, 1);
  firing(name, bad, good, 0);
});
