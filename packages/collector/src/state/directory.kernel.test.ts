import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '@egressd/daemon/log';
import { createRegistry } from '@egressd/daemon/metrics';
import { metric } from '@egressd/world/observe';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { CONNECTION_WORDS } from './connections-file.ts';
import { StateDirectory } from './directory.ts';
import { FolderDisk } from './disk.ts';
import { createCollectorStateMetrics } from './metrics.ts';
import { restore } from './restore.ts';

const DISK_BYTES = 256 * 1024;
const HERE = { node: 'node-a', bootId: 'boot-1', source: 'netfilter net:[1]' };

let disk: string;

beforeEach(() => {
  disk = mkdtempSync(join(tmpdir(), 'egressd-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'egressd-test', disk]);
});

afterEach(() => {
  execFileSync('umount', [disk]);
  rmdirSync(disk);
});

/** Leaves so many bytes. */
function fill(left: number): void {
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(join(disk, 'other'), Buffer.alloc(bavail * bsize - left));
}

test('a full disk: nothing is left that a restart could take for the present; with room again all is kept', async () => {
  const registry = createRegistry();
  const lines: string[] = [];
  const state = new StateDirectory({
    disk: new FolderDisk(disk),
    identity: { node: HERE.node, bootId: HERE.bootId, epoch: 'one' },
    source: () => HERE.source,
    batches: [],
    restored: false,
    metrics: createCollectorStateMetrics(registry),
    log: createLog('debug', (line) => lines.push(line)),
    timing: { graceMs: 20, retryMs: 5, retryWholeMs: 0 },
  });
  const save = (number: number) => {
    const words = new Uint32Array(200 * CONNECTION_WORDS).fill(number);
    const image = {
      whole: state.wantsWhole,
      number,
      sinceMs: number,
      firstReadNs: 5n,
      baseline: false,
      counterDecreases: 0,
      words,
    };
    const messages = [new Uint8Array(8192).fill(number)];
    return state.save({ number, messages, bytes: 8192, rows: 1, flowBytes: 5, frozenMs: 0 }, image);
  };
  await save(1);
  // Room for the batch, not for the connections.
  fill(16 * 1024);
  await save(2);
  expect(lines[0]).toContain('ENOSPC');
  expect(existsSync(join(disk, 'connections'))).toBe(false);
  expect(await metric(registry, 'egressd_collector_state_degraded')).toBe(1);
  // The connections' file has made room: something else takes it.
  rmSync(join(disk, 'other'));
  fill(0);
  await save(3);
  expect(await metric(registry, 'egressd_collector_state_degraded')).toBe(1);

  rmSync(join(disk, 'other'));
  await save(4);
  expect(await metric(registry, 'egressd_collector_state_degraded')).toBe(0);
  expect(readdirSync(join(disk, 'batches')).sort()).toEqual(['1', '2', '3', '4']);
  const { outcome, epoch, batches, connections } = await restore(new FolderDisk(disk), HERE);
  expect([outcome, epoch, connections?.images.length]).toEqual(['restored', { name: 'one', last: 4 }, 1]);
  expect(batches.map(({ number, messages }) => [number, messages[0]![0]])).toEqual([1, 2, 3, 4].map((n) => [n, n]));
});
