import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '@egressd/daemon/log';
import { parseAddress } from '@egressd/flow/address';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import type { PodRecord } from '../../owners/owner-source.ts';
import { OwnerRegistry } from '../../owners/registry.ts';
import { IpHistoryStore } from './ip-history-store.ts';

let folder: string;
let lines = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'egressd-history-'));
  lines = '';
});

afterEach(() => rmSync(folder, { recursive: true }));

const log = createLog('debug', (line) => {
  lines += line;
});

function pod(name: string, fromMs: number): PodRecord {
  const addresses = [parseAddress('10.0.0.1')!];
  return { key: name, namespace: 'ns', name, node: 'n', addresses, hostNetwork: false, fromMs };
}

interface Run {
  readonly owners: OwnerRegistry;
  readonly store: IpHistoryStore;
  readonly registry: Registry;
}

/** The start of an exporter process at this time. */
async function begin(nowMs: number, state = folder): Promise<Run> {
  const owners = new OwnerRegistry(['api']);
  const registry = new Registry();
  const store = new IpHistoryStore({ folder: state, owners, registry, log, now: () => nowMs });
  await store.start();
  return { owners, store, registry };
}

const replace = ({ owners }: Run, atMs: number, ...pods: PodRecord[]) =>
  owners.source('api').replace({ nodes: [], pods, clusterRanges: [] }, atMs);

function who({ owners }: Run, atMs: number): string {
  const found = owners.ownerBetween(parseAddress('10.0.0.1')!, 0, atMs, atMs + 1);
  return found.known === 'owner' ? found.owner.pod : found.known;
}

async function counted({ registry }: Run, what: 'reads' | 'writes'): Promise<Record<string, number>> {
  const { values } = await registry.getSingleMetric(`egressd_exporter_ip_history_${what}_total`)!.get();
  return Object.fromEntries(
    values.filter(({ value }) => value > 0).map(({ labels, value }) => [labels.outcome, value]),
  );
}

test('over a restart: who had the address before, and who has it now', async () => {
  const first = await begin(3000, join(folder, 'made', 'by', 'us'));
  replace(first, 1000, pod('a', 500));
  await first.store.close();
  const second = await begin(5000, join(folder, 'made', 'by', 'us'));
  expect(await counted(second, 'reads')).toEqual({ restored: 1 });
  replace(second, 5000, pod('b', 3000));
  expect([499, 500, 2999, 3000].map((at) => who(second, at))).toEqual(['none', 'a', 'a', 'b']);
  await second.store.close();
  expect(await counted(second, 'writes')).toEqual({ written: 1 });
  expect(lines).toContain('msg="IP history restored"');
});

test('nothing is written before all sources are synced: the file stays as it is', async () => {
  const first = await begin(3000);
  replace(first, 1000, pod('a', 500));
  await first.store.close();
  const before = readFileSync(join(folder, 'ip-history'));
  const second = await begin(5000);
  await second.store.close();
  expect(readFileSync(join(folder, 'ip-history'))).toEqual(before);
  expect(await counted(second, 'writes')).toEqual({});
});

test('a crash in the middle of a write leaves the file that was there', async () => {
  const first = await begin(3000);
  replace(first, 1000, pod('a', 500));
  await first.store.close();
  writeFileSync(join(folder, 'ip-history.new'), 'half of wh');
  const second = await begin(5000);
  replace(second, 5000);
  expect(who(second, 4000)).toBe('a');
  await second.store.close();
  expect(readdirSync(folder)).toEqual(['ip-history']);
  expect(statSync(join(folder, 'ip-history')).mode & 0o777).toBe(0o600);
});

test.each<[string, string]>([
  ['damaged', 'egressd-ip-history 1 4 00\nabcd'],
  ['foreign', 'my notes'],
  ['version', 'egressd-ip-history 7 0 00\n'],
])('a file that is %s is put aside, logged and counted', async (reason, text) => {
  writeFileSync(join(folder, 'ip-history'), text);
  const run = await begin(3000);
  expect(await counted(run, 'reads')).toEqual({ [reason]: 1 });
  expect(lines).toContain(`reason=${reason} `);
  replace(run, 1000, pod('a', 500));
  await run.store.close();
  expect(readFileSync(join(folder, 'ip-history.bad'), 'utf8')).toBe(text);
  expect(await counted(await stopped(await begin(4000)), 'reads')).toEqual({ restored: 1 });
});

async function stopped(run: Run): Promise<Run> {
  await run.store.close();
  return run;
}

test('a first start logs nothing', async () => {
  const run = await stopped(await begin(3000));
  expect(await counted(run, 'reads')).toEqual({ none: 1 });
  expect([lines, readdirSync(folder)]).toEqual(['', []]);
});

test('a path that cannot be read or written is logged and counted, never fatal', async () => {
  const path = join(folder, 'ip-history');
  writeFileSync(path, '');
  truncateSync(path, 64 * 1024 * 1024 + 1);
  const run = await begin(3000);
  expect(await counted(run, 'reads')).toEqual({ unreadable: 1 });
  expect(lines).toContain('reason=unreadable');
  rmSync(path);
  mkdirSync(path);
  replace(run, 1000, pod('a', 500));
  await run.store.write();
  await run.store.close();
  expect(await counted(run, 'writes')).toEqual({ failed: 2 });
  expect(lines.match(/reason=write_failed/g)).toHaveLength(1);
  expect(existsSync(join(folder, 'ip-history.new'))).toBe(false);
});

test('a link is put aside and not followed', async () => {
  symlinkSync('/etc/hostname', join(folder, 'ip-history'));
  const run = await stopped(await begin(3000));
  expect(await counted(run, 'reads')).toEqual({ foreign: 1 });
  expect(lines).toContain('ip-history is a symbolic link, not a file: egressd did not make it');
  expect(existsSync(join(folder, 'ip-history.bad'))).toBe(true);
});

test('a state directory that is a file', async () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const run = await begin(3000, file);
  replace(run, 1000);
  await run.store.close();
  expect([await counted(run, 'reads'), await counted(run, 'writes')]).toEqual([{ unreadable: 1 }, { failed: 1 }]);
});
