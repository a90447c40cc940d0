import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
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
import { type KeepOptions, KeptCheckpoint } from './checkpoint-store.ts';

let folder: string;
let lines = '';
let changes = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'egressd-checkpoint-'));
  lines = '';
  changes = 0;
});

afterEach(() => rmSync(folder, { recursive: true }));

/** One life of the exporter, without sinks. */
function begin(options: Partial<KeepOptions> = {}) {
  const registry = new Registry();
  const kept = new KeptCheckpoint({
    ...{ folder, ephemeral: false, sinks: new Map(), registry, retryMs: 1 },
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
    const nodes = [{ node: 'node-a', seenMs: 1, sequences: [{ epoch: 'n', applied: timeMs, committed: 0 }] }];
    kept.take(snapshot, { mode: undefined, nodes, totals: aggregate.image(snapshot) });
  };
  const metric = async (name: string) => {
    const { values } = await registry.getSingleMetric(`egressd_exporter_checkpoint_${name}`)!.get();
    return Object.fromEntries(
      values.filter(({ value }) => value > 0).map(({ labels, value }) => [labels.outcome ?? name, value]),
    );
  };
  return { kept, take, metric };
}

/** Never comes. */
const { signal } = new AbortController();

describe('a checkpoint', () => {
  test('is on the disk when it is said to be, and the next life reads it', async () => {
    const first = begin({ folder: join(folder, 'made', 'by', 'us') });
    expect(await first.kept.load()).toBeUndefined();
    first.kept.begin(undefined, []);
    first.take(5000);
    expect(first.kept.kept).toBeUndefined();
    expect(await first.kept.durable(signal)).toBe(true);
    expect([first.kept.kept?.timeMs, changes]).toEqual([5000, 1]);
    const path = join(folder, 'made', 'by', 'us', 'checkpoint');
    expect(statSync(path).mode & 0o777).toBe(0o600);

    const second = begin({ folder: join(folder, 'made', 'by', 'us') });
    const restored = await second.kept.load();
    expect([restored?.totals.timeMs, restored?.nodes[0]?.sequences[0]?.applied]).toEqual([5000, 5000]);
    expect([await first.metric('reads_total'), await second.metric('reads_total')]).toEqual([
      { none: 1 },
      { restored: 1 },
    ]);
  });

  test('holds what is there when it is asked for, not what was there when another was begun', async () => {
    const { kept, take } = begin();
    kept.begin(undefined, []);
    take(5000);
    const early = kept.durable(signal);
    await Promise.resolve();
    take(6000);
    expect(await early).toBe(true);
    expect(kept.kept?.timeMs).toBe(5000);
    expect(await kept.durable(signal)).toBe(true);
    expect(kept.kept?.timeMs).toBe(6000);
    expect(changes).toBe(2);
  });

  test('is written a last time at the end', async () => {
    const { kept, take } = begin();
    kept.begin(undefined, []);
    take(5000);
    expect(await kept.close(1000)).toBe(true);
    expect(kept.kept?.timeMs).toBe(5000);
    expect(readdirSync(folder)).toEqual(['checkpoint']);
  });

  test.each<[string, string, string]>([
    ['damaged', 'egressd check', 'it is cut off or was changed'],
    ['foreign', 'my diary', 'egressd did not write it'],
  ])('that is %s is put aside, said and counted', async (outcome, text, why) => {
    writeFileSync(join(folder, 'checkpoint'), text);
    const { kept, metric } = begin();
    expect(await kept.load()).toBeUndefined();
    expect(await metric('reads_total')).toEqual({ [outcome]: 1 });
    expect(lines).toContain(`why="${why}"`);
    expect(readFileSync(join(folder, 'checkpoint.bad'), 'utf8')).toBe(text);
  });

  test('that cannot be read is said and counted', async () => {
    mkdirSync(join(folder, 'checkpoint'));
    const { kept, metric } = begin();
    expect(await kept.load()).toBeUndefined();
    expect(await metric('reads_total')).toEqual({ unreadable: 1 });
    expect(lines).toContain('see the permissions of -state-dir');
  });
});

describe('a disk that fails', () => {
  /** A file on a disk that fails as long as it is told to. */
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
    const { kept, take, metric } = begin({ file });
    kept.begin(undefined, []);
    take(5000);
    let safe = false;
    const waiting = kept.durable(signal).then((durable) => {
      safe = durable;
    });
    await until(() => file.attempts > 3);
    expect([safe, kept.givenUp, kept.kept]).toEqual([false, false, undefined]);
    file.full = false;
    await waiting;
    expect([safe, kept.kept?.timeMs]).toEqual([true, 5000]);
    expect((await metric('writes_total')).failed).toBeGreaterThan(3);
    expect(lines).toContain('is the disk full');
    expect(lines).toContain('checkpoints can be written again');
  });

  test('is given up after the grace: what is old is removed, and all goes on; until it works again', async () => {
    const file = failing();
    file.full = false;
    const { kept, take, metric } = begin({ file, graceMs: 0 });
    kept.begin(undefined, []);
    take(5000);
    await kept.durable(signal);
    expect(existsSync(file.path)).toBe(true);
    file.full = true;
    expect(await kept.durable(signal)).toBe(true);
    expect([kept.givenUp, existsSync(file.path), await metric('degraded')]).toEqual([true, false, { degraded: 1 }]);
    expect(lines).toContain('the state directory is given up');
    file.full = false;
    take(6000);
    expect(await kept.durable(signal)).toBe(true);
    expect([kept.givenUp, kept.kept?.timeMs, await metric('degraded')]).toEqual([false, 6000, {}]);
  });

  test('is waited for, however long, where what is old cannot be removed', async () => {
    const file = failing();
    file.stuck = true;
    const { kept, take } = begin({ file, graceMs: 0 });
    kept.begin(undefined, []);
    take(5000);
    const stop = new AbortController();
    const waiting = kept.durable(stop.signal);
    await until(() => file.attempts > 3);
    expect(kept.givenUp).toBe(false);
    expect(lines).toContain('can neither be written nor removed');
    stop.abort();
    expect(await waiting).toBe(false);
    expect(await kept.close(1000)).toBe(false);
  });

  test('does not hold a stop up', async () => {
    const { kept, take } = begin({ file: failing(), retryMs: 3_600_000 });
    kept.begin(undefined, []);
    take(5000);
    expect(await kept.close(10_000)).toBe(false);
  });
});
