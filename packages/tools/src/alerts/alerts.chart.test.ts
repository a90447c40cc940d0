import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { RULES_FILE, readAlerts } from './alerts.ts';

const PROMTOOL = fileURLToPath(new URL('../../../../.lab/debian/usr/bin/promtool', import.meta.url));
type Daemon = 'collector' | 'exporter';
/** Series of one target by metric and labels, in Prometheus' notation: a value a minute. */
type SeriesOf = Readonly<Record<string, string>>;

interface Case {
  readonly alert: string;
  readonly daemon: Daemon;
  /** Of a target for which the alert fires, and of one for which it does not. */
  readonly bad: SeriesOf;
  readonly good: SeriesOf;
  /** Labels of the alert beside those of the target. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** The labels that the chart's PodMonitor and ServiceMonitor give to a target: `good` and `bad` run side by side. */
const TARGETS: Readonly<Record<Daemon, Readonly<Record<'good' | 'bad', Readonly<Record<string, string>>>>>> = {
  collector: { good: collector('node-a', '10.0.0.1'), bad: collector('node-b', '10.0.0.2') },
  exporter: { good: exporter('one', '10.1.0.1'), bad: exporter('other', '10.1.0.2') },
};

function collector(node: string, ip: string) {
  const pod = `egressd-collector-${node}`;
  const scraped = { container: 'egressd-collector', endpoint: 'http-server', job: 'egressd/egressd' };
  return { ...scraped, namespace: 'egressd', pod, node, instance: `${ip}:6061` };
}

function exporter(name: string, ip: string) {
  const pod = `egressd-exporter-${name}`;
  const scraped = {
    container: 'egressd-exporter',
    endpoint: 'http',
    job: 'egressd-exporter',
    service: 'egressd-exporter',
  };
  return { ...scraped, namespace: 'egressd', pod, instance: `${ip}:6060` };
}

/** One metric whose value decides. @param metric with the labels that are the alert's too */
function one(alert: string, metric: string, bad: string, good: string): Case {
  const daemon: Daemon = metric.startsWith('egressd_collector_') ? 'collector' : 'exporter';
  const labels = Object.fromEntries([...metric.matchAll(/(\w+)="(\w+)"/g)].map(([, name, value]) => [name!, value!]));
  return { alert, daemon, bad: { [metric]: bad }, good: { [metric]: good }, labels };
}

/** Counters begin at zero, as `increase()` wants it; one that has risen long ago is no reason to fire. */
const [RISES, ROSE] = ['0+1x120', '5x120'];
const DAY = 86_400;
/** Time begins at zero too: it is what `time()` says after the minutes that have gone by. */
const [SOON, LATER] = [`${2 * DAY}x120`, `${30 * DAY}x120`];
const TIMESTAMPS = 'egressd_collector_conntrack_sysctl{name="nf_conntrack_timestamp"}';
const ZEROED = 'egressd_collector_conntrack_entries_zeroed_total';
const OVERRUNS = 'egressd_collector_conntrack_event_overruns_total';
const GAPS = 'egressd_collector_conntrack_event_gaps_total';
const [ENTRIES, MAX] = ['egressd_collector_conntrack_table_entries', 'egressd_collector_conntrack_table_max_entries'];
const [EXPIRES, RELOADS] = ['tls_certificate_expires_timestamp_seconds', 'tls_reload_failures_total'];

const CASES: readonly Case[] = [
  one('EgressdNodesWithoutCollector', 'egressd_exporter_nodes_without_collector', '2x120', '0x120'),
  one('EgressdNoCollectorStreams', 'egressd_exporter_receiver_streams', '0x120', '1x120'),
  one('EgressdConntrackSysctlOff', 'egressd_collector_conntrack_sysctl{name="nf_conntrack_acct"}', '0x120', '1x120'),
  one('EgressdTrafficNotCounted', 'egressd_collector_blind_spot{reason="bridge"}', '1x120', '0x120'),
  one('EgressdEbpfMapFull', 'egressd_collector_ebpf_uncounted_packets{reason="full"}', '0+10x120', '10x120'),
  {
    alert: 'EgressdConntrackCountersZeroed',
    daemon: 'collector',
    bad: { [ZEROED]: RISES, [TIMESTAMPS]: '1x120' },
    good: { [ZEROED]: ROSE, [TIMESTAMPS]: '1x120' },
  },
  {
    alert: 'EgressdConntrackCountersZeroed',
    daemon: 'collector',
    bad: { [ZEROED]: RISES, [TIMESTAMPS]: '1x120' },
    // Without timestamps it proves nothing.
    good: { [ZEROED]: RISES, [TIMESTAMPS]: '0x120' },
  },
  {
    alert: 'EgressdConntrackEventsLost',
    daemon: 'collector',
    bad: { [OVERRUNS]: RISES, [GAPS]: '0x120' },
    good: { [OVERRUNS]: ROSE, [GAPS]: ROSE },
  },
  {
    alert: 'EgressdConntrackEventsLost',
    daemon: 'collector',
    bad: { [OVERRUNS]: '0x120', [GAPS]: RISES },
    good: { [OVERRUNS]: '0x120', [GAPS]: '0x120' },
  },
  {
    alert: 'EgressdConntrackTableNearlyFull',
    daemon: 'collector',
    bad: { [ENTRIES]: '95x120', [MAX]: '100x120' },
    // As many entries, and room for more.
    good: { [ENTRIES]: '95x120', [MAX]: '200x120' },
  },
  one('EgressdCollectorStateDegraded', 'egressd_collector_state_degraded', '1x120', '0x120'),
  one('EgressdExporterCheckpointDegraded', 'egressd_exporter_checkpoint_degraded', '1x120', '0x120'),
  one('EgressdSinkBehind', 'egressd_exporter_sink_pending_age_seconds{sink="a"}', '700x120', '60x120'),
  one('EgressdSinkBytesLost', 'egressd_dropped_events_total{sink="a",reason="series_ended"}', RISES, ROSE),
  one('EgressdSinkBytesLost', 'egressd_dropped_events_total{sink="a",reason="partly_stored"}', RISES, ROSE),
  one('EgressdCollectorBatchesRejected', 'egressd_collector_batches_rejected_total', RISES, ROSE),
  one('EgressdSinkCardinalityLimit', 'egressd_exporter_sink_folded_series{sink="a"}', '9x120', '0x120'),
  one('EgressdExporterFlowsFolded', 'egressd_exporter_flows_folded_total{reason="pod"}', RISES, ROSE),
  one('EgressdCollectorCardinalityLimit', 'egressd_collector_pairs_folded_total{into="public"}', RISES, ROSE),
  one('EgressdCertificateExpiresSoon', `egressd_collector_${EXPIRES}`, SOON, LATER),
  one('EgressdCertificateExpiresSoon', `egressd_exporter_${EXPIRES}`, SOON, '0x120'),
  one('EgressdCertificateReloadFailed', `egressd_collector_${RELOADS}`, RISES, ROSE),
  one('EgressdCertificateReloadFailed', `egressd_exporter_${RELOADS}`, RISES, ROSE),
  one(
    'EgressdKubernetesUnavailable',
    'egressd_exporter_kubernetes_last_response_timestamp_seconds{resource="pods"}',
    '60x120',
    '60+60x120',
  ),
  one('EgressdInsecureStream', 'egressd_collector_stream_insecure', '1x120', '0x120'),
  one('EgressdInsecureStream', 'egressd_exporter_stream_insecure', '1x120', '0x120'),
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

/** `metric{its="labels",and="those of the target"}`. */
function withLabels(metric: string, target: Readonly<Record<string, string>>): string {
  const [, name, own] = /^(\w+)(?:\{(.*)\})?$/.exec(metric)!;
  const labels = Object.entries(target).map(([label, value]) => `${label}="${value}"`);
  return `${name}{${[...(own === undefined ? [] : [own]), ...labels].join(',')}}`;
}

/** Tries an alert after two hours in which both targets had these series. @param firing the labels of those that must fire then */
function fires(alert: string, series: readonly { series: string; values: string }[], firing: readonly string[]): void {
  const file = join(folder, 'test.json');
  const tests = [
    {
      interval: '1m',
      input_series: series,
      promql_expr_test: [
        {
          expr: `ALERTS{alertname="${alert}",alertstate="firing"}`,
          eval_time: '115m',
          exp_samples: firing.map((labels) => ({ labels, value: 1 })),
        },
      ],
    },
  ];
  writeFileSync(file, JSON.stringify({ rule_files: [RULES_FILE], evaluation_interval: '1m', tests }));
  expect(promtool('test', 'rules', file)).toMatchObject({ status: 0 });
}

test('Prometheus takes the rules', () => {
  expect(promtool('check', 'rules', RULES_FILE)).toMatchObject({ status: 0 });
});

test('every alert is tried', () => {
  expect([...new Set(CASES.map(({ alert }) => alert))]).toEqual(readAlerts().map(({ alert }) => alert));
});

test.each(CASES.map((each) => [each.alert, each.daemon, each] as const))(
  '%s: of two instances of the %s it fires for the one that is bad, with its labels',
  (alert, daemon, { bad, good, labels = {} }) => {
    const target = TARGETS[daemon];
    const of = (instance: 'good' | 'bad', values: SeriesOf) =>
      Object.entries(values).map(([metric, value]) => ({
        series: withLabels(metric, target[instance]),
        values: value,
      }));
    const { severity } = readAlerts().find((it) => it.alert === alert)!.labels;
    const expected = { ...target.bad, ...labels, alertname: alert, alertstate: 'firing', severity };
    fires(alert, [...of('good', good), ...of('bad', bad)], [withLabels('ALERTS', expected)]);
    fires(alert, [...of('good', good), ...of('bad', good)], []);
  },
);
