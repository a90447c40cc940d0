import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addressKey, parseAddress } from '@egressd/flow/address';
import { emptyColumns } from '@egressd/flow/columns';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Aggregate } from '../aggregate/aggregate.ts';
import type { Snapshot } from '../aggregate/snapshot.ts';
import { readConfig } from '../config/load.ts';
import type { Endpoint } from '../enrich/endpoint.ts';
import { KEPT } from '../enrich/verdict.ts';
import { countSets } from '../series-check/count-series.ts';
import { buildSink } from '../sinks/build.ts';
import { SinkState } from '../sinks/delivery/sink-state.ts';
import { encodeCheckpoint, encodeCounted } from '../state/checkpoint/format.ts';
import { seriesCheck } from './series-check.ts';

const TIME_MS = Date.parse('2026-11-28T06:00:00Z');

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'egressd-series-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

function pod(i: number): Endpoint {
  const owner = {
    ...{ namespace: `space-${i % 3}`, pod: `pod-${i}`, node: `node-${i % 7}` },
    ...{ zone: i % 7 === 6 ? '' : `zone-${(i % 7) % 3}`, region: 'region' },
    ...(i % 5 === 0 ? {} : { workload: { kind: 'Deployment', name: `of-${i % 6}` } }),
  };
  return { key: addressKey(parseAddress(`10.0.0.${i}`)!), place: 'owned', owner };
}

function outside(address: string, place: Endpoint['place'], owner: Partial<Endpoint['owner']> = {}): Endpoint {
  const none = { namespace: '', pod: '', node: '', zone: '', region: '' };
  return { key: addressKey(parseAddress(address)!), place, owner: { ...none, ...owner } };
}

/** Pods that talk to each other and to what is outside, so many that some series are folded. */
function traffic(maxSeries = 300): { aggregate: Aggregate; snapshot: Snapshot } {
  const network = { name: 'aws', kind: 'cloud', zone: '', region: 'region', service: 'S3' } as const;
  const endpoints = [
    ...Array.from({ length: 40 }, (_, i) => pod(i + 1)),
    ...[outside('198.51.100.1', 'public'), outside('3.5.140.1', 'public', { region: 'region', network })],
    ...[outside('172.16.0.1', 'private'), outside('10.9.9.9', 'unknown'), outside('169.254.169.254', 'private')],
  ];
  const rows = 600;
  const flows = emptyColumns(rows, endpoints.length);
  for (let row = 0; row < rows; row++) {
    [flows.source[row], flows.destination[row]] = [row % 40, (row * 7 + Math.floor(row / 40)) % endpoints.length];
    flows.protocol[row] = row % 9 === 0 ? 17 : 6;
    flows.txBytes[row] = row + 1;
  }
  const verdicts = Uint8Array.from(endpoints, (_, i) => (i < 40 ? KEPT : 1));
  const none = { pairs: 0, bytes: 0, packets: 0 };
  const aggregate = new Aggregate({ maxSeries });
  aggregate.add(
    { parts: [{ flows, endpoints, verdicts }], dropped: new Map(), unknown: none, unlisted: none, forwarded: none },
    TIME_MS - 1000,
  );
  return { aggregate, snapshot: aggregate.snapshot(TIME_MS, new Map()) };
}

const CONFIG = `
sinks:
  detail: { prom_remote_write: { url: "http://127.0.0.1:1/w" } }
  work: { prom_remote_write: { url: "http://127.0.0.1:1/w", labelSet: workloads, addLabels: [distance, proto], maxSeries: 50 } }
  metrics: { otlp: { url: "http://127.0.0.1:1/v1/metrics", labelSet: namespaces } }
  items: { http: { url: "http://127.0.0.1:1/flows" } }
  lines: { http: { url: "http://127.0.0.1:1/flows", encoding: json, omitLabels: [src_ip, dst_ip] } }
  out: { stdout: { labelSet: zones } }
`;

function config() {
  const loaded = readConfig(CONFIG, 'c.yaml', {});
  if (!loaded.ok) throw new Error(loaded.mistakes.join());
  return loaded.config;
}

/** Series at the receiver of a sink that takes the snapshot, without its limit. */
function sent(settings: Parameters<typeof buildSink>[0], snapshot: Snapshot): number {
  const sink = buildSink(settings, { version: '0', environment: {} });
  const state = new SinkState({
    ...{ counters: sink.counters, maxSeries: 1e9, startedMs: 0, intervalMs: 1000 },
    identityOf: (labels) => sink.identityOf(labels),
  });
  state.absorb(snapshot);
  return state.size;
}

test('it says of each sink what the sink then sends, and only reads', async () => {
  const { aggregate, snapshot } = traffic();
  const counted = encodeCounted({ mode: undefined, nodes: [], totals: aggregate.image(snapshot) });
  writeFileSync(join(folder, 'checkpoint'), Buffer.concat(encodeCheckpoint(counted, new Map())));
  const { text, code } = await seriesCheck(folder, config(), {});
  expect(code).toBe(0);
  expect(text).toContain(`${snapshot.series.length} series in memory, as of 2026-11-28T06:00:00.000Z`);
  for (const settings of config().sinks) {
    const [, series, limit, folded] = new RegExp(`^${settings.name} +(\\S+) +(\\S+) +(\\S+)$`, 'm').exec(text) ?? [];
    const expected = sent(settings, snapshot);
    expect([settings.name, series]).toEqual([settings.name, String(expected)]);
    const most = settings.name === 'work' ? 50 : 100_000;
    expect([limit, folded]).toEqual([most.toLocaleString('en-US'), String(Math.max(0, expected - most))]);
  }
  expect(readdirSync(folder)).toEqual(['checkpoint']);
});

test.each([300, 100_000])(
  'it says of each set and each further label what a sink then sends, with %d series',
  (maxSeries) => {
    const { snapshot } = traffic(maxSeries);
    const settingsOf = (labels: string) => {
      const loaded = readConfig(
        `sinks: { a: { prom_remote_write: { url: "http://127.0.0.1:1/w", ${labels} } } }`,
        'c',
        {},
      );
      if (!loaded.ok) throw new Error(loaded.mistakes.join());
      return loaded.config.sinks[0]!;
    };
    for (const { set, series, with: more } of countSets(snapshot.series)) {
      expect([set, series]).toEqual([set, sent(settingsOf(`labelSet: ${set}`), snapshot)]);
      expect(more.size).toBeGreaterThan(5);
      for (const [label, count] of more)
        expect([set, label, count]).toEqual([
          set,
          label,
          sent(settingsOf(`labelSet: ${set}, addLabels: [${label}]`), snapshot),
        ]);
    }
  },
);

test.each([
  ['no checkpoint', undefined, 'there is none yet'],
  ['another file', 'x'.repeat(100), 'is no checkpoint of this version (foreign)'],
])('%s', async (_what, content, message) => {
  if (content !== undefined) writeFileSync(join(folder, 'checkpoint'), content);
  const { text, code } = await seriesCheck(folder, config(), {});
  expect([text, code]).toEqual([expect.stringContaining(message), 1]);
});
