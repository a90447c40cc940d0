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
import { parseAddress } from '@egressd/flow/address';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { OwnerRegistry, type PodRecord } from '../../owners/registry.ts';
import { KeptHistory } from './ip-history-store.ts';

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
  readonly kept: KeptHistory;
  readonly registry: Registry;
}

/** One life of the exporter, at this time. */
async function begin(nowMs: number, state = folder): Promise<Run> {
  const owners = new OwnerRegistry(['api']);
  const registry = new Registry();
  const kept = new KeptHistory({ folder: state, owners, registry, log, now: () => nowMs });
  await kept.start();
  return { owners, kept, registry };
}

const tell = ({ owners }: Run, atMs: number, ...pods: PodRecord[]) =>
  owners.source('api').replace({ nodes: [], pods, clusterRanges: [] }, atMs);

function who({ owners }: Run, atMs: number): string {
  const found = owners.during(parseAddress('10.0.0.1')!, 0, atMs, atMs + 1);
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
  tell(first, 1000, pod('a', 500));
  await first.kept.close();
  const second = await begin(5000, join(folder, 'made', 'by', 'us'));
  expect(await counted(second, 'reads')).toEqual({ restored: 1 });
  tell(second, 5000, pod('b', 4000));
  expect([499, 500, 3999, 4000].map((at) => who(second, at))).toEqual(['nobody', 'a', 'a', 'b']);
  await second.kept.close();
  expect(await counted(second, 'writes')).toEqual({ written: 1 });
  expect(lines).toContain('msg="address history restored"');
});

test('nothing is written before all sources have told: what is there stays', async () => {
  const first = await begin(3000);
  tell(first, 1000, pod('a', 500));
  await first.kept.close();
  const before = readFileSync(join(folder, 'address-history'));
  const second = await begin(5000);
  await second.kept.close();
  expect(readFileSync(join(folder, 'address-history'))).toEqual(before);
  expect(await counted(second, 'writes')).toEqual({});
});

test('a crash in the middle of a write leaves the file that was there', async () => {
  const first = await begin(3000);
  tell(first, 1000, pod('a', 500));
  await first.kept.close();
  writeFileSync(join(folder, 'address-history.new'), 'half of wh');
  const second = await begin(5000);
  tell(second, 5000);
  expect(who(second, 4000)).toBe('a');
  await second.kept.close();
  expect(readdirSync(folder)).toEqual(['address-history']);
  expect(statSync(join(folder, 'address-history')).mode & 0o777).toBe(0o600);
});

test.each<[string, string, string]>([
  ['damaged', 'egressd-address-history 1 4 00\nabcd', 'it is cut off or was changed'],
  ['foreign', 'my diary', 'egressd did not write it'],
  ['version', 'egressd-address-history 7 0 00\n', 'another version of egressd wrote it'],
])('a file that is %s is put aside, said and counted', async (reason, text, why) => {
  writeFileSync(join(folder, 'address-history'), text);
  const run = await begin(3000);
  expect(await counted(run, 'reads')).toEqual({ [reason]: 1 });
  expect(lines).toContain(`why="${why}"`);
  tell(run, 1000, pod('a', 500));
  await run.kept.close();
  expect(readFileSync(join(folder, 'address-history.bad'), 'utf8')).toBe(text);
  expect(await counted(await stopped(await begin(4000)), 'reads')).toEqual({ restored: 1 });
});

async function stopped(run: Run): Promise<Run> {
  await run.kept.close();
  return run;
}

test('a first start says nothing', async () => {
  const run = await stopped(await begin(3000));
  expect(await counted(run, 'reads')).toEqual({ none: 1 });
  expect([lines, readdirSync(folder)]).toEqual(['', []]);
});

test('a place that cannot be read or written is said and counted, never fatal', async () => {
  mkdirSync(join(folder, 'address-history'));
  const run = await begin(3000);
  expect(await counted(run, 'reads')).toEqual({ unreadable: 1 });
  expect(lines).toContain('see the permissions of -state-dir');
  tell(run, 1000, pod('a', 500));
  await run.kept.write();
  await run.kept.close();
  expect(await counted(run, 'writes')).toEqual({ failed: 2 });
  expect(lines.match(/cannot be written/g)).toHaveLength(1);
  expect(existsSync(join(folder, 'address-history.new'))).toBe(false);
});

test('a state directory that is a file', async () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const run = await begin(3000, file);
  tell(run, 1000);
  await run.kept.close();
  expect([await counted(run, 'reads'), await counted(run, 'writes')]).toEqual([{ unreadable: 1 }, { failed: 1 }]);
});
