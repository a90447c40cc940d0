import { execFileSync } from 'node:child_process';
import { lstat, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '@egressd/daemon/log';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { CONNECTION_WORDS } from './connections-file.ts';
import { type OpenStateOptions, openState } from './open.ts';

const IDENTITY = { node: 'node-a', bootId: 'boot-1' };
const source = () => 'netfilter net:[1]';
const BATCH = { number: 1, messages: [Buffer.from('rows')], bytes: 4, rows: 1, flowBytes: 5, frozenMs: 0 };
const IMAGE = {
  whole: true,
  number: 1,
  sinceMs: 1,
  firstReadNs: 5n,
  baseline: false,
  counterDecreases: 0,
  words: new Uint32Array(CONNECTION_WORDS),
};

let parent = '';
let folder = '';

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'egressd-state-'));
  folder = join(parent, 'state');
});

afterEach(() => rm(parent, { recursive: true }));

async function open(options: Partial<OpenStateOptions> = {}) {
  const lines: string[] = [];
  const registry = new Registry();
  const log = createLog('debug', (line) => lines.push(line));
  const stopping = new AbortController().signal;
  const opened = await openState({
    folder,
    identity: IDENTITY,
    source,
    log,
    registry,
    stopping,
    lockWaitMs: 150,
    ...options,
  });
  return { ...opened, said: lines.join(''), metrics: await registry.metrics() };
}

test('without a directory nothing is saved', async () => {
  expect(await open({ folder: undefined })).toMatchObject({ state: undefined, restored: undefined, said: '' });
});

test('what one process saved the next finds, and no other user may read it', async () => {
  const first = await open();
  await first.state?.save({ ...BATCH, number: first.epoch.next() }, IMAGE);
  await first.close();
  const modes = ['.', 'connections', 'batches', 'batches/1'].map(async (name) => (await stat(join(folder, name))).mode);
  expect((await Promise.all(modes)).map((mode) => (mode & 0o777).toString(8))).toEqual(['700', '600', '700', '600']);

  const second = await open();
  expect(second.said).toMatch(/msg="state restored.* outcome=restored batches=1 last_batch=1/);
  expect(second.epoch).toMatchObject({ name: first.epoch.name, last: 1 });
  expect(second.restored?.batches).toEqual([BATCH]);
  expect(second.metrics).toContain('egressd_collector_state_reads_total{outcome="restored"} 1');
  second.state?.discard([1]);
  await second.close();
  expect(await readdir(join(folder, 'batches'))).toEqual([]);
});

test('only one process at a time', async () => {
  const first = await open();
  const second = await open();
  expect(second.state).toBeUndefined();
  expect(second.said).toContain('outcome=locked');
  expect(second.metrics).toContain('egressd_collector_state_reads_total{outcome="locked"} 1');
  await first.close();
});

test('one that is about to end is waited for', async () => {
  const first = await open();
  const second = open({ lockWaitMs: 20_000 });
  setTimeout(() => first.close(), 20);
  const { state, close } = await second;
  expect(state).toBeDefined();
  await close();
});

test('a start that is to stop waits no longer', async () => {
  const first = await open();
  const stopping = new AbortController();
  const second = open({ lockWaitMs: 20_000, stopping: stopping.signal });
  stopping.abort();
  await expect(second).rejects.toThrow('abort');
  await first.close();
});

test('what cannot be a directory is logged, and the collector does without', async () => {
  await writeFile(folder, 'a file');
  const { state, said, metrics } = await open();
  expect(state).toBeUndefined();
  expect(said).toContain('outcome=unreadable');
  expect(metrics).toContain('egressd_collector_state_reads_total{outcome="unreadable"} 1');
});

test('links, FIFOs and empty files are put aside, and the collector saves all the same', async () => {
  await (await open()).close();
  await symlink('/etc/hostname', join(folder, 'connections'));
  await symlink('/etc/hostname', join(folder, 'connections.new'));
  await mkdir(join(folder, 'batches'));
  execFileSync('mkfifo', [join(folder, 'batches', '1')]);
  for (let number = 2; number <= 300; number++) await writeFile(join(folder, 'batches', String(number)), '');
  const { said, metrics, state, epoch, close } = await open();
  expect(said).toMatch(/error="\S+\/connections is a symbolic link, not a file: egressd did not make it/);
  expect(said).toMatch(/error="\S+\/batches\/1 is a FIFO, not a file: /);
  expect(metrics).toContain('egressd_collector_state_reads_total{outcome="foreign"} 1');
  expect(metrics).toContain('egressd_collector_state_batches_dropped_total{reason="foreign"} 1');
  expect(metrics).toContain('egressd_collector_state_batches_dropped_total{reason="damaged"} 299');
  await state?.save({ ...BATCH, number: epoch.next() }, IMAGE);
  expect((await lstat(join(folder, 'connections'))).isFile()).toBe(true);
  await close();
});

test('a folder of batches that is a link is put aside', async () => {
  await (await open()).close();
  await symlink(parent, join(folder, 'batches'));
  const { said, state, epoch, close } = await open();
  expect(said).toMatch(/\/batches is a symbolic link, not a folder: egressd did not make it/);
  await state?.save({ ...BATCH, number: epoch.next() }, IMAGE);
  expect(await readdir(join(folder, 'batches'))).toEqual(['1']);
  expect(await readdir(parent)).toEqual(['state']);
  await close();
});

test('a damaged file is logged', async () => {
  await (await open()).close();
  await writeFile(join(folder, 'connections'), 'egrsconn but no more');
  const { said, metrics, close } = await open();
  expect(said).toMatch(/outcome=version.* file=connections.bad/);
  expect(metrics).toContain('egressd_collector_state_reads_total{outcome="version"} 1');
  await close();
});
