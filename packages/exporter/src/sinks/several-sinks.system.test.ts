import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createLog } from '@egressd/daemon/log';
import { createRegistry } from '@egressd/daemon/metrics';
import { metric } from '@egressd/world/observe';
import { type Answer, decodeWrite, labelsOf, status, TestReceiver } from '@egressd/world/receivers/test-receiver';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Series } from '../aggregate/snapshot.ts';
import { readConfig } from '../config/load.ts';
import { buildSink } from './build.ts';
import { createSinkMetrics } from './delivery/metrics.ts';
import { type Accepted, SinkDelivery } from './delivery/sink-delivery.ts';
import { decodeBatch } from './items/testing.ts';
import { STARTED_MS, testSeries, testSnapshot, until } from './testing.ts';

let folder: string;
const closers: (() => Promise<unknown>)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'egressd-sinks-'));
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  rmSync(folder, { recursive: true });
});

async function receiver(answer: Answer): Promise<TestReceiver> {
  const started = await TestReceiver.start(answer);
  closers.push(() => started.close());
  return started;
}

/** Accepts connections and never answers. */
async function hangingServer(): Promise<number> {
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => sockets.push(socket.on('error', () => {})));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as { port: number }).port;
}

/** A port that refuses connections. */
async function deadPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  await expect(new Promise((_resolve, reject) => connect(port, '127.0.0.1').on('error', reject))).rejects.toThrow();
  return port;
}

/** The sinks of a configuration, as the exporter runs them. */
function deliveries(configuration: string) {
  const loaded = readConfig(configuration, join(folder, 'config.yaml'), {});
  if (!loaded.ok) throw new Error(loaded.mistakes.join('\n'));
  const registry = createRegistry();
  const metrics = createSinkMetrics(registry);
  const lines: string[] = [];
  const accepted: Record<string, number> = {};
  const all = loaded.config.sinks.map((settings) => {
    const { name } = settings;
    const delivery = new SinkDelivery({
      sink: buildSink(settings, { version: '1.2.3', environment: {} }),
      startedMs: STARTED_MS,
      intervalMs: 1000,
      metrics,
      log: createLog('debug', (line) => lines.push(line)),
      onAccepted: ({ timeMs }: Accepted) => {
        accepted[name] = timeMs - STARTED_MS;
      },
    });
    closers.push(() => delivery.close(0));
    return delivery;
  });
  const offer = (
    afterMs: number,
    series: readonly Series[],
    totals: readonly number[],
    evicted: readonly Series[] = [],
  ) => {
    const snapshot = testSnapshot(afterMs, series, totals, evicted);
    for (const delivery of all) delivery.offer(snapshot, undefined);
  };
  return { registry, lines, accepted, offer };
}

test('one that is slow, hangs, is wrong or cannot write touches no other', async () => {
  const [items, samples, wrong] = [
    await receiver(status(204)),
    await receiver(status(204)),
    await receiver(status(200, {}, '<!doctype html><title>Log in</title>')),
  ];
  const [hanging, dead] = [await hangingServer(), await deadPort()];
  const { registry, lines, accepted, offer } = deliveries(`
sinks:
  items: { http: { url: "http://127.0.0.1:${items.port}/flows" } }
  samples: { prom_remote_write: { url: "${samples.url}" } }
  file: { file: { path: flows.jsonl } }
  hanging: { http: { url: "http://127.0.0.1:${hanging}/flows", encoding: json } }
  dead: { prom_remote_write: { url: "http://127.0.0.1:${dead}/api/v1/write" } }
  wrong: { http: { url: "http://127.0.0.1:${wrong.port}/login" } }
  nowhere: { file: { path: no/such/folder/flows.jsonl } }
`);
  const series = [testSeries(1), testSeries(2)];
  const working = ['items', 'samples', 'file'];
  const rounds = 20;
  for (let round = 1; round <= rounds; round++) {
    offer(round * 1000, series, [round * 10, round * 20]);
    await until(() => working.every((name) => accepted[name] === round * 1000));
  }
  expect(Object.keys(accepted).sort()).toEqual([...working].sort());

  // Each working one has every byte, in every round.
  const deltas = items.requests.map(({ body }) => decodeBatch(body).map(({ tx_bytes }) => Number(tx_bytes)));
  expect(deltas).toEqual(Array(rounds).fill([10, 20]));
  const last = decodeWrite(samples.requests.at(-1)!);
  expect(labelsOf(last).map(({ src_pod }, at) => [src_pod, last.timeseries[at]!.samples[0]!.value])).toEqual([
    ['pod-1', rounds * 10],
    ['pod-2', rounds * 20],
  ]);
  const written = readFileSync(join(folder, 'flows.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(written.map(({ tx_bytes }) => tx_bytes)).toEqual(Array(rounds).fill([10, 20]).flat());

  // The others are recognized by their names.
  for (const name of ['dead', 'wrong', 'nowhere']) expect(lines.join()).toContain(`sink=${name}`);
  for (const name of ['hanging', 'dead', 'wrong', 'nowhere'])
    expect(await metric(registry, 'egressd_exporter_sink_pending_age_seconds', { sink: name })).toBeGreaterThan(0);
  for (const name of working)
    expect(await metric(registry, 'egressd_exporter_sink_pending_age_seconds', { sink: name })).toBe(0);
  expect(await metric(registry, 'egressd_exporter_sink_superseded_snapshots_total', { sink: 'hanging' })).toBe(
    rounds - 2,
  );
});

test('sinks that are dead for long, and series that come and go, do not fill the memory', async () => {
  const dead = await deadPort();
  const hanging = await hangingServer();
  const { offer } = deliveries(`
sinks:
  dead: { prom_remote_write: { url: "http://127.0.0.1:${dead}/api/v1/write", maxSeries: 100 } }
  hanging: { http: { url: "http://127.0.0.1:${hanging}/flows", maxSeries: 100 } }
  nowhere: { file: { path: no/such/folder/flows.jsonl, maxSeries: 100 } }
`);
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const used = () => {
    collectGarbage();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  let next = 0;
  let live = Array.from({ length: 100 }, () => testSeries(next++));
  const play = async (rounds: number, from: number) => {
    for (let round = from; round < from + rounds; round++) {
      const evicted = live.slice(0, 20);
      live = [...live.slice(20), ...Array.from({ length: 20 }, () => testSeries(next++))];
      offer(
        (round + 1) * 1000,
        live,
        live.map(({ id }) => (round + 1) * 1000 + id),
        evicted,
      );
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  // The first rounds reach the limits.
  await play(50, 0);
  const before = used();
  await play(400, 50);
  const growth = used() - before;
  // 8,000 series passed through three sink states: kept, they would take more than 10 MiB.
  expect(growth).toBeLessThan(3 * 1024 * 1024);
});
