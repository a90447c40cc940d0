import { createLog } from '@egressd/daemon/log';
import { describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { CONNECTION_WORDS } from './connections-file.ts';
import { StateDirectory } from './directory.ts';
import type { FrozenBatch } from './frozen-batch.ts';
import { createCollectorStateMetrics } from './metrics.ts';
import { restore } from './restore.ts';
import { MemoryDisk } from './testing.ts';

const HERE = { node: 'node-a', bootId: 'boot-1', source: 'netfilter net:[1]' };
const IMAGE_BYTES = 100_000 * CONNECTION_WORDS * 4;

function batch(number: number): FrozenBatch {
  return { number, messages: [new Uint8Array(10)], bytes: 10, rows: 1, flowBytes: 5, frozenMs: 0 };
}

/** A state on a disk in memory, and a clock that moves while it waits. */
function setUp(files?: ReadonlyMap<string, Uint8Array>) {
  const disk = new MemoryDisk(files);
  const registry = new Registry();
  const lines: string[] = [];
  const clock = { ms: 0 };
  const source = { name: HERE.source };
  const state = new StateDirectory({
    disk,
    identity: { node: HERE.node, bootId: HERE.bootId, epoch: 'one' },
    source: () => source.name,
    batches: [],
    restored: false,
    metrics: createCollectorStateMetrics(registry),
    log: createLog('debug', (line) => lines.push(line)),
    timing: { graceMs: 30, retryMs: 1, slowMs: 10, retryWholeMs: 100 },
    now: () => {
      clock.ms += 5;
      return clock.ms;
    },
  });
  /** Saves as the collector does. */
  const save = (number: number, connections = 1) => {
    const whole = state.wantsWhole;
    const words = new Uint32Array(connections * CONNECTION_WORDS);
    const image = { whole, number, sinceMs: 1, firstReadNs: 5n, baseline: false, counterDecreases: 0, words };
    return state.save(batch(number), image).then((maySend) => (maySend ? whole : 'not sent'));
  };
  const metric = async (name: string) => {
    const { values } = (await registry.getSingleMetric(name)!.get()) as { values: { value: number }[] };
    return values.map(({ value }) => value);
  };
  const files_ = () => [...disk.files.keys()].sort();
  return { disk, state, save, lines, metric, clock, source, files: files_ };
}

const FULL = new Error('ENOSPC: no space left on device, write');

describe('a hand-over', () => {
  test('is whole first, then what changed, until that outgrows it', async () => {
    const { save, disk } = setUp();
    expect(await save(1, 100_000)).toBe(true);
    expect(await save(2, 60_000)).toBe(false);
    expect(disk.files.get('connections')!.length).toBeGreaterThan(1.5 * IMAGE_BYTES);
    expect(await save(3, 60_000)).toBe(false);
    expect(await save(4, 100_000)).toBe(true);
    expect(disk.files.get('connections')!.length).toBeLessThan(1.01 * IMAGE_BYTES);
  });

  test('is whole where the connections come from another table now', async () => {
    const { save, disk, source } = setUp();
    await save(1);
    source.name = 'cilium net:[1]';
    expect([await save(2), await save(3)]).toEqual([true, false]);
    expect(await restore(disk, { ...HERE, source: source.name })).toMatchObject({ outcome: 'restored' });
  });

  test('what is committed is removed', async () => {
    const { save, state, files, metric } = setUp();
    for (const number of [1, 2, 3]) await save(number);
    state.discard([1, 3]);
    await state.close();
    expect(files()).toEqual(['batches/2', 'connections']);
    expect(await metric('egressd_collector_state_bytes')).toEqual([expect.any(Number)]);
  });

  test('waits for the one before', async () => {
    const { save, state } = setUp();
    const first = save(1);
    expect(state.writing).toBe(true);
    await expect(save(2)).rejects.toThrow('BUG');
    await first;
    expect(state.writing).toBe(false);
  });
});

describe('a disk that fails', () => {
  test('for a moment: the batch waits', async () => {
    const { save, disk, metric, lines } = setUp();
    await save(1);
    disk.failing = FULL;
    const second = save(2);
    setTimeout(() => {
      disk.failing = undefined;
    }, 2);
    await second;
    expect(await metric('egressd_collector_state_degraded')).toEqual([0]);
    expect(lines.join('')).toContain('reason=write_failed');
    const { connections, batches } = await restore(disk, HERE);
    expect([connections?.images.length, connections?.images.at(-1)?.number, batches.length]).toEqual([2, 2, 2]);
  });

  test('for long: nothing is left that a restart could take for the present, and batches go out', async () => {
    const { save, disk, metric, files, state } = setUp();
    await save(1);
    disk.failing = FULL;
    await save(2);
    expect(await metric('egressd_collector_state_degraded')).toEqual([1]);
    expect(files()).not.toContain('connections');
    expect(state.wantsWhole).toBe(false);
    await save(3);
  });

  test('works again: all that is not committed is written, and the whole image', async () => {
    const { save, disk, metric, clock, state, files, lines } = setUp();
    disk.failing = FULL;
    for (const number of [1, 2, 3]) await save(number);
    state.discard([1]);
    disk.failing = undefined;
    clock.ms += 1000;
    expect(await save(4)).toBe(true);
    expect(await metric('egressd_collector_state_degraded')).toEqual([0]);
    expect(files()).toEqual(['batches/2', 'batches/3', 'batches/4', 'connections']);
    expect(lines.join('')).toContain('reason=recovered');
    expect(await restore(disk, HERE)).toMatchObject({ outcome: 'restored', epoch: { name: 'one', last: 4 } });
  });

  test('at shutdown: it is not waited for', async () => {
    const { save, disk, state, clock } = setUp();
    disk.failing = FULL;
    state.beginShutdown();
    await save(1);
    expect(clock.ms).toBeLessThan(60);
  });
});

test('a disk that fails at shutdown: what is saved stays, what is not is not sent', async () => {
  const { save, disk, state, lines } = setUp();
  await save(1);
  disk.failing = FULL;
  state.beginShutdown();
  expect(await save(2)).toBe('not sent');
  expect(lines.at(-1)).toContain('reason=held_back');
  expect(await restore(new MemoryDisk(disk.files), HERE)).toMatchObject({
    outcome: 'restored',
    epoch: { last: 1 },
    batches: [{ number: 1 }],
  });
  disk.failing = undefined;
  expect(await save(3)).toBe(true);
  expect(await restore(disk, HERE)).toMatchObject({ epoch: { last: 3 }, batches: [{}, {}, {}] });
});

test('a disk that is slow is logged and shown, and the batch waits', async () => {
  const { save, disk, lines, metric } = setUp();
  let open = () => {};
  disk.gate = new Promise((resolve) => {
    open = resolve;
  });
  const first = save(1);
  while (lines.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(lines[0]).toContain('reason=slow');
  expect((await metric('egressd_collector_state_last_write_duration_seconds'))[0]).toBeGreaterThan(0);
  open();
  await first;
});

test('another epoch: nothing is left of the one before', async () => {
  const { save, disk, state, files, metric } = setUp();
  await save(1);
  await save(2);
  await state.beginEpoch('two', [batch(1)], 3);
  expect(files()).toEqual([]);
  expect(await metric('egressd_collector_state_batches_dropped_total')).toEqual([3]);
  expect(await save(2)).toBe(true);
  expect(await restore(disk, HERE)).toMatchObject({
    epoch: { name: 'two', last: 2 },
    batches: [{ number: 1 }, { number: 2 }],
  });
});
