import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmdirSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '@egressd/daemon/log';
import { createRegistry } from '@egressd/daemon/metrics';
import { metric } from '@egressd/world/observe';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createSinkMetrics } from '../delivery/metrics.ts';
import { type Accepted, SinkDelivery } from '../delivery/sink-delivery.ts';
import { STARTED_MS, testSeries, testSnapshot, until } from '../testing.ts';
import { createFileSink } from './sink.ts';

const DISK_BYTES = 128 * 1024;

let disk: string;
let delivery: SinkDelivery;

beforeEach(() => {
  disk = mkdtempSync(join(tmpdir(), 'egressd-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'egressd-test', disk]);
});

afterEach(async () => {
  await delivery.close(0);
  execFileSync('umount', [disk]);
  rmdirSync(disk);
});

test('a full disk: counted, logged, retried, nothing torn, nothing lost, nothing twice', async () => {
  const path = join(disk, 'flows.jsonl');
  const registry = createRegistry();
  const lines: string[] = [];
  const accepted: number[] = [];
  delivery = new SinkDelivery({
    sink: createFileSink('log', { path, maxSizeMB: 1, maxFiles: 2, maxSeries: 1000 }),
    startedMs: STARTED_MS,
    intervalMs: 1000,
    metrics: createSinkMetrics(registry),
    log: createLog('debug', (line) => lines.push(line)),
    onAccepted: ({ timeMs }: Accepted) => accepted.push(timeMs - STARTED_MS),
  });
  const series = Array.from({ length: 20 }, (_, id) => testSeries(id));
  const offer = (round: number) => {
    delivery.offer(
      testSnapshot(
        round * 1000,
        series,
        series.map(({ id }) => round * (id + 1)),
      ),
      undefined,
    );
  };

  offer(1);
  await until(() => accepted.length === 1);
  const whole = statSync(path).size;
  // Room for half of the next request.
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(join(disk, 'other'), Buffer.alloc(bavail * bsize - bsize));
  for (let round = 2; round <= 4; round++) offer(round);
  await until(() => lines.length > 0);
  expect(lines[0]).toContain(`${path}: cannot be written (ENOSPC): the disk is full`);
  expect(await metric(registry, 'egressd_exporter_sink_requests_total', { status: 'ENOSPC' })).toBeGreaterThan(0);
  expect(statSync(path).size).toBe(whole);
  expect(delivery.holdsCommit).toBe(true);

  rmSync(join(disk, 'other'));
  offer(5);
  await until(() => accepted.at(-1) === 5000);
  const sums = new Map<string, number>();
  for (const line of readFileSync(path, 'utf8').trimEnd().split('\n')) {
    const { src_pod, tx_bytes } = JSON.parse(line);
    sums.set(src_pod, (sums.get(src_pod) ?? 0) + tx_bytes);
  }
  expect(sums).toEqual(new Map(series.map(({ id, labels }) => [labels.src_pod, 5 * (id + 1)])));
});
