import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Lifecycle } from '@egressd/daemon/lifecycle';
import { createLog } from '@egressd/daemon/log';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type ExporterFlags, parseExporterFlags } from '../flags.ts';
import { lockFolder } from '../state/lock.ts';
import { stateDirectoryLock } from './state.ts';

const log = createLog('error', () => {});
const lifecycle = new Lifecycle(log, { on: () => {}, exit: () => {} });
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'egressd-state-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

function flags(...args: string[]): ExporterFlags {
  const parsed = parseExporterFlags(args, {});
  if (parsed.kind !== 'values') throw new Error(JSON.stringify(parsed));
  return parsed.values;
}

test('while the exporter before it still has the directory, it is not ready, and says why', async () => {
  const before = await lockFolder(folder);
  const lock = stateDirectoryLock(flags(`-state-dir=${folder}`), log);
  const acquired = lock.acquire(lifecycle);
  expect(lock.notReady()).toBe('it waits for the exporter before it to release the state directory');
  await before.release();
  await acquired;
  expect(lock.notReady()).toBeUndefined();
  await expect(lockFolder(folder, 0)).rejects.toThrow('another exporter');
  lifecycle.stop('end of the test');
});

test('without a directory there is nothing to wait for', () => {
  expect(stateDirectoryLock(flags(), log).notReady()).toBeUndefined();
});
