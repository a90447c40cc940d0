import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { lockFolder } from './lock.ts';

let folder: string;

beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'egressd-lock-')), 'a'.repeat(120));
});

afterEach(() => rmSync(join(folder, '..'), { recursive: true }));

test('one at a time', async () => {
  const first = await lockFolder(folder);
  await expect(lockFolder(folder, 0)).rejects.toThrow('another exporter uses -state-dir');
  const second = lockFolder(folder);
  await first.release();
  await (await second).release();
  expect(existsSync(join(folder, 'lock'))).toBe(false);
});

test('of several that come at once one gets it', async () => {
  const settled = await Promise.allSettled([1, 2, 3].map(() => lockFolder(folder, 0)));
  const locks = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  expect(locks.length).toBe(1);
  await locks[0]!.release();
});

test('what is no socket of ours in its place is put aside', async () => {
  const other = createServer().listen(join(folder, '../other'));
  await once(other, 'listening');
  mkdirSync(folder);
  symlinkSync('../other', join(folder, 'lock'));
  await (await lockFolder(folder, 0)).release();
  expect(existsSync(join(folder, 'lock.bad'))).toBe(true);
  other.close();
});

test('one that was killed holds nothing', async () => {
  const script = `require('node:fs').mkdirSync(${JSON.stringify(folder)}); process.chdir(${JSON.stringify(folder)});
    require('node:net').createServer().listen('lock', () => console.log('listens'))`;
  const child = spawn(process.execPath, ['-e', script]);
  await once(child.stdout, 'data');
  await expect(lockFolder(folder, 0)).rejects.toThrow('another exporter');
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(existsSync(join(folder, 'lock'))).toBe(true);
  await (await lockFolder(folder)).release();
});
