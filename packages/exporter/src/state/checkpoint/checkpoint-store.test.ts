import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '@egressd/daemon/log';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { Aggregate } from '../../aggregate/aggregate.ts';
import { until } from '../../sinks/testing.ts';
import { StateFile } from '../file.ts';
import { CheckpointStore, type CheckpointStoreOptions } from './checkpoint-store.ts';

let folder: string;
let lines = '';
let changes = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'egressd-checkpoint-'));
  lines = '';
  changes = 0;
});

afterEach(() => rmSync(folder, { recursive: true }));

/** The store of one exporter process, without sinks. */
function openStore(options: Partial<CheckpointStoreOptions> = {}) {
  const registry = new Registry();
  const store = new CheckpointStore({
    ...{ folder, ephemeral: false, registry, retryMs: 1 },
    onChange: () => changes++,
    log: createLog('debug', (line) => {
      lines += line;
    }),
    ...options,
  });
  const aggregate = new Aggregate();
  const take = (timeMs: number) => {
    const position = new Map([['node-a', { epoch: 'n', number: timeMs }]]);
    const snapshot = aggregate.snapshot(timeMs, position);
    const nodes = [{ node: 'node-a', seenMs: 1, epochs: [{ epoch: 'n', applied: timeMs, committed: 0 }] }];
    store.take(snapshot, { mode: undefined, nodes, totals: aggregate.image(snapshot) });
  };
  const metric = async (name: string) => {
    const { values } = await registry.getSingleMetric(`egressd_exporter_checkpoint_${name}`)!.get();
    return Object.fromEntries(
      values.filter(({ value }) => value > 0).map(({ labels, value }) => [labels.outcome ?? name, value]),
    );
  };
  return { store, take, metric };
}

/** Never aborted. */
const { signal } = new AbortController();

describe('a checkpoint', () => {
  test('is on the disk once it is durable, and the next process reads it', async () => {
    const first = openStore({ folder: join(folder, 'made', 'by', 'us') });
    expect(await first.store.load()).toBeUndefined();
    first.store.start(undefined, []);
    first.take(5000);
    expect(first.store.saved).toBeUndefined();
    expect(await first.store.durable(signal)).toBe(true);
    expect([first.store.saved?.timeMs, changes]).toEqual([5000, 1]);
    const path = join(folder, 'made', 'by', 'us', 'checkpoint');
    expect(statSync(path).mode & 0o777).toBe(0o600);

    const second = openStore({ folder: join(folder, 'made', 'by', 'us') });
    const restored = await second.store.load();
    expect([restored?.totals.timeMs, restored?.nodes[0]?.epochs[0]?.applied]).toEqual([5000, 5000]);
    expect([await first.metric('reads_total'), await second.metric('reads_total')]).toEqual([
      { none: 1 },
      { restored: 1 },
    ]);
  });

  test('has the state of its request, not that of an earlier one', async () => {
    const { store, take } = openStore();
    store.start(undefined, []);
    take(5000);
    const early = store.durable(signal);
    await Promise.resolve();
    take(6000);
    expect(await early).toBe(true);
    expect(store.saved?.timeMs).toBe(5000);
    expect(await store.durable(signal)).toBe(true);
    expect(store.saved?.timeMs).toBe(6000);
    expect(changes).toBe(2);
  });

  test('is written a last time at the end', async () => {
    const { store, take } = openStore();
    store.start(undefined, []);
    take(5000);
    expect(await store.close(1000)).toBe(true);
    expect(store.saved?.timeMs).toBe(5000);
    expect(readdirSync(folder)).toEqual(['checkpoint']);
  });

  test.each<[string, string]>([
    ['damaged', 'egressd check'],
    ['foreign', 'my notes'],
  ])('that is %s is put aside, logged and counted', async (outcome, text) => {
    writeFileSync(join(folder, 'checkpoint'), text);
    const { store, metric } = openStore();
    expect(await store.load()).toBeUndefined();
    expect(await metric('reads_total')).toEqual({ [outcome]: 1 });
    expect(lines).toContain(`reason=${outcome} `);
    expect(readFileSync(join(folder, 'checkpoint.bad'), 'utf8')).toBe(text);
  });

  test.each<[string, (path: string) => void]>([
    ['symbolic link', (path) => symlinkSync('/etc/hostname', path)],
    ['FIFO', (path) => execFileSync('mkfifo', [path])],
    ['folder', (path) => mkdirSync(path)],
  ])('that is a %s is put aside and not followed, and the next one is written', async (kind, make) => {
    make(join(folder, 'checkpoint'));
    make(join(folder, 'checkpoint.new'));
    if (kind === 'folder') rmdirSync(join(folder, 'checkpoint.new'));
    const { store, take, metric } = openStore();
    expect(await store.load()).toBeUndefined();
    expect(await metric('reads_total')).toEqual({ foreign: 1 });
    expect(lines).toContain(`checkpoint is a ${kind}, not a file: egressd did not make it`);
    store.start(undefined, []);
    take(5000);
    expect(await store.durable(signal)).toBe(true);
    expect(lstatSync(join(folder, 'checkpoint')).isFile()).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(['checkpoint', 'checkpoint.bad']);
  });

  test('that cannot be read is logged and counted', async () => {
    writeFileSync(join(folder, 'checkpoint'), '');
    truncateSync(join(folder, 'checkpoint'), 1024 ** 3 + 1);
    const { store, metric } = openStore();
    expect(await store.load()).toBeUndefined();
    expect(await metric('reads_total')).toEqual({ unreadable: 1 });
    expect(lines).toContain('reason=unreadable');
  });
});

describe('a disk that fails', () => {
  /** A file on a disk that fails while `full` is set. */
  class FailingFile extends StateFile {
    full = true;
    stuck = false;
    attempts = 0;
    override async write(...pieces: readonly Uint8Array[]): Promise<void> {
      this.attempts++;
      if (this.full) throw new Error('ENOSPC: no space left');
      await super.write(...pieces);
    }
    override async remove(): Promise<void> {
      if (this.stuck) throw new Error('EROFS: read-only');
      await super.remove();
    }
  }

  const failing = () => new FailingFile(folder, 'checkpoint', 1e6);

  test('is waited for, and tried again', async () => {
    const file = failing();
    const { store, take, metric } = openStore({ file });
    store.start(undefined, []);
    take(5000);
    let safe = false;
    const waiting = store.durable(signal).then((durable) => {
      safe = durable;
    });
    await until(() => file.attempts > 3);
    expect([safe, store.degraded, store.saved]).toEqual([false, false, undefined]);
    file.full = false;
    await waiting;
    expect([safe, store.saved?.timeMs]).toEqual([true, 5000]);
    expect((await metric('writes_total')).failed).toBeGreaterThan(3);
    expect(lines).toContain('reason=write_failed');
    expect(lines).toContain('reason=recovered');
  });

  test('is degraded after the grace period: the old file is removed and nothing waits, until a write succeeds', async () => {
    const file = failing();
    file.full = false;
    const { store, take, metric } = openStore({ file, graceMs: 0 });
    store.start(undefined, []);
    take(5000);
    await store.durable(signal);
    expect(existsSync(file.path)).toBe(true);
    file.full = true;
    expect(await store.durable(signal)).toBe(true);
    expect([store.degraded, existsSync(file.path), await metric('degraded')]).toEqual([true, false, { degraded: 1 }]);
    expect(lines).toContain('level=error msg="state directory degraded, continuing without it" reason=degraded');
    file.full = false;
    take(6000);
    expect(await store.durable(signal)).toBe(true);
    expect([store.degraded, store.saved?.timeMs, await metric('degraded')]).toEqual([false, 6000, {}]);
  });

  test('is waited for without end where the old file cannot be removed', async () => {
    const file = failing();
    file.stuck = true;
    const { store, take } = openStore({ file, graceMs: 0 });
    store.start(undefined, []);
    take(5000);
    const stop = new AbortController();
    const waiting = store.durable(stop.signal);
    await until(() => file.attempts > 3);
    expect(store.degraded).toBe(false);
    expect(lines).toContain('reason=blocked');
    stop.abort();
    expect(await waiting).toBe(false);
    expect(await store.close(1000)).toBe(false);
  });

  test('does not delay the shutdown', async () => {
    const { store, take } = openStore({ file: failing(), retryMs: 3_600_000 });
    store.start(undefined, []);
    take(5000);
    expect(await store.close(10_000)).toBe(false);
  });
});
