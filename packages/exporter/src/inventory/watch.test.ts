import { mkdir, mkdtemp, rename, rm, symlink, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLog } from '@egressd/daemon/log';
import { parseAddress } from '@egressd/flow/address';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { OwnerRegistry } from '../owners/registry.ts';
import { InventoryError, inventoryMistakes, loadInventory, MAX_INVENTORY_BYTES } from './load.ts';
import { type WatchedInventory, watchInventory } from './watch.ts';

let folder = '';
let path = '';
let owners = new OwnerRegistry(['inventory']);
let registry = new Registry();
let lines = '';
let watched: WatchedInventory | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'egressd-inventory-'));
  path = join(folder, 'inventory.yaml');
  owners = new OwnerRegistry(['inventory']);
  registry = new Registry();
  lines = '';
});

afterEach(async () => {
  await watched?.close();
  watched = undefined;
  await rm(folder, { recursive: true });
});

const withPod = (name: string) =>
  `nodes: [{name: n}]\npods: [{name: ${name}, namespace: s, node: n, ips: [10.0.0.1]}]\n`;

function pod(): string {
  const found = owners.ownerBetween(parseAddress('10.0.0.1')!, 0, Date.now(), Date.now() + 1000);
  return found.known === 'owner' ? found.owner.pod : found.known;
}

/** Without `pollMs` there is no polling within a test: a change is noticed by the watcher. */
async function start(pollMs = 1_000_000): Promise<void> {
  const log = createLog('debug', (line) => {
    lines += line;
  });
  watched = await watchInventory({ path, owners: owners.source('inventory'), registry, log, pollMs });
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(10);
}

async function metric(name: string): Promise<number[]> {
  return ((await registry.getSingleMetric(name)?.get())?.values ?? []).map(({ value }) => value);
}

test('the first version is read, and makes the owners synced', async () => {
  await writeFile(path, withPod('a'));
  await start();
  expect(owners.synced).toBe(true);
  expect(pod()).toBe('a');
  expect(await metric('egressd_exporter_inventory_reads_total')).toEqual([1, 0]);
});

test('a change in place is noticed', async () => {
  await writeFile(path, withPod('a'));
  await start();
  await writeFile(path, withPod('b'));
  await until(() => pod() === 'b');
});

test('a file that replaces it is noticed, again and again', async () => {
  await writeFile(path, withPod('a'));
  await start();
  for (const name of ['b', 'c', 'd']) {
    await writeFile(`${path}.new`, withPod(name));
    await rename(`${path}.new`, path);
    await until(() => pod() === name);
  }
});

test('a ConfigMap that is mounted: links are changed, the file is not', async () => {
  for (const version of ['1', '2']) {
    await mkdir(join(folder, version));
    await writeFile(join(folder, version, 'inventory.yaml'), withPod(`v${version}`));
  }
  await symlink('1', join(folder, '..data'));
  await symlink('..data/inventory.yaml', path);
  await start();
  expect(pod()).toBe('v1');
  await symlink('2', join(folder, '..data_tmp'));
  await rename(join(folder, '..data_tmp'), join(folder, '..data'));
  await until(() => pod() === 'v2');
});

test('a change without a notice is found by polling', async () => {
  const elsewhere = await mkdtemp(join(tmpdir(), 'egressd-inventory-'));
  try {
    await writeFile(join(elsewhere, 'real.yaml'), withPod('a'));
    await symlink(join(elsewhere, 'real.yaml'), path);
    await start(20);
    await writeFile(join(elsewhere, 'real.yaml'), withPod('b'));
    await until(() => pod() === 'b');
  } finally {
    await rm(elsewhere, { recursive: true });
  }
});

test('a version that cannot be used is logged and counted, and the previous one stays in use', async () => {
  await writeFile(path, withPod('a'));
  await start();
  await writeFile(path, 'nodes: [{name: n, zone: 7}]\n');
  await until(async () => (await metric('egressd_exporter_inventory_stale'))[0] === 1);
  expect(pod()).toBe('a');
  expect(lines).toContain(`path=${path} mistakes=1\n`);
  expect(lines).toContain(`error="${path}: line 1: nodes[0].zone: expected text, found a number"`);
  await writeFile(path, withPod('b'));
  await until(() => pod() === 'b');
  expect(await metric('egressd_exporter_inventory_stale')).toEqual([0]);
  expect(await metric('egressd_exporter_inventory_reads_total')).toEqual([2, 1]);
});

test('the previous version stays in use when the file is deleted', async () => {
  await writeFile(path, withPod('a'));
  await start();
  await unlink(path);
  await until(async () => (await metric('egressd_exporter_inventory_stale'))[0] === 1);
  expect(pod()).toBe('a');
  await writeFile(path, withPod('b'));
  await until(() => pod() === 'b');
});

test('of thousands of mistakes the message has the first ones, and how many more', async () => {
  const pods = Array.from({ length: 3000 }, () => ({ name: 'a', namespace: 'n', node: 'x', ips: [7] }));
  await writeFile(path, JSON.stringify({ nodes: [], pods }));
  const lines = await loadInventory(path).catch((error: Error) => error.message.split('\n'));
  expect(lines).toHaveLength(21);
  expect((lines as string[])[20]).toMatch(/^and \d{4} more$/);
  expect((await inventoryMistakes(path)).length).toBeGreaterThan(3000);
});

test.each<[string, string | undefined, string]>([
  ['none', undefined, 'cannot read the inventory: no such file'],
  ['a broken one', 'nodes: 7\n', 'line 1: nodes: expected a list, found a number'],
])('a first version that cannot be used is an error: %s', async (_, text, expected) => {
  if (text !== undefined) await writeFile(path, text);
  await expect(start()).rejects.toThrow(new InventoryError([`${path}: ${expected}`]));
  expect(owners.synced).toBe(false);
});

test('a folder, and a file that is too long', async () => {
  await expect(loadInventory(folder)).rejects.toThrow(`${folder}: cannot read the inventory: it is a directory`);
  await writeFile(path, '');
  await truncate(path, MAX_INVENTORY_BYTES + 1);
  await expect(loadInventory(path)).rejects.toThrow(`${path}: is 33554433 bytes long, the maximum is 33554432`);
});

test('-config-check gets every mistake of an inventory, or none', async () => {
  await writeFile(path, 'nodes: [{name: n}, {name: n}]\n');
  expect(await inventoryMistakes(path)).toEqual([
    expect.stringContaining('nodes[1].name: nodes[0] has that name already'),
  ]);
  await writeFile(path, withPod('p'));
  expect(await inventoryMistakes(path)).toEqual([]);
  expect(await inventoryMistakes(undefined)).toEqual([]);
});
