import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '@egressd/daemon/log';
import { createRegistry } from '@egressd/daemon/metrics';
import { parseAddress } from '@egressd/flow/address';
import { metric } from '@egressd/world/observe';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { networkMistakes } from './load.ts';
import { type WatchedNetworks, watchNetworks } from './watch.ts';

let folder: string;
let watched: WatchedNetworks | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'egressd-networks-'));
});

afterEach(async () => {
  await watched?.close();
  watched = undefined;
  rmSync(folder, { recursive: true });
});

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const CLOUD = '# egressd cloud ranges 1\n# made 2026-11-28 from a test\n10.0.0.0/8\taws\tregion\tS3\n';

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 5000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('timed out');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

test('files are read again when they change, and one that is wrong leaves the previous version in use', async () => {
  const file = write('networks.yaml', 'networks: [{ cidr: 10.1.0.0/16, name: first, kind: private }]');
  const settings = {
    networks: [{ cidr: '10.2.0.0/16', name: 'inline' }],
    networkFiles: [file],
    cloudRanges: write('cloud.tsv', CLOUD),
  };
  const registry = createRegistry();
  const lines: string[] = [];
  watched = await watchNetworks({
    ...{ settings, registry, pollMs: 5 },
    log: createLog('info', (line) => lines.push(line)),
  });
  const find = (address: string) => watched!.find(parseAddress(address)!, 0);
  expect(find('10.1.0.1')).toEqual({ name: 'first', kind: 'private', zone: '', region: '', service: '' });
  expect(find('10.2.0.1')?.name).toBe('inline');
  expect(find('10.3.0.1')).toEqual({ name: 'aws', kind: 'cloud', zone: '', region: 'region', service: 'S3' });
  expect(find('192.0.2.1')).toBeUndefined();
  const made = await metric(registry, 'egressd_exporter_cloud_ranges_made_timestamp_seconds');
  expect(made).toBe(Date.parse('2026-11-28') / 1000);
  expect(await metric(registry, 'egressd_exporter_networks_ranges')).toBe(3);

  write('networks.yaml', 'networks: [{ cidr: 10.1.0.0/16, name: second, zone: a }, { cidr: 0.0.0.0/0, name: all }]');
  await until(() => find('10.1.0.1')?.name === 'second');
  // The user's own come before a cloud's, whatever their length.
  expect(find('10.3.0.1')?.name).toBe('all');

  write('networks.yaml', 'networks: [{ cidr: 10.1.0.0/99, name: third }]');
  const failed = () => metric(registry, 'egressd_exporter_networks_reads_total', { outcome: 'failed' });
  await until(async () => (await failed()) === 1);
  expect(find('10.1.0.1')?.name).toBe('second');
  expect(lines.join('')).toContain('the previous version stays in use');
});

test('mistakes have file and line', async () => {
  const [yaml, empty, tsv] = [
    write('a.yaml', 'networks:\n  - { cidr: x, name: a }\n  - { cidr: 10.0.0.0/8, name: "~other", kind: own }\n'),
    write('b.yaml', ''),
    write('c.tsv', 'x'),
  ];
  const of = (networkFiles: string[], cloudRanges?: string) =>
    networkMistakes({ networks: [], networkFiles, cloudRanges });
  expect(await of([yaml])).toEqual([
    `${yaml}: line 2: networks[0].cidr: expected a range of addresses such as 10.0.0.0/8, "x" is none`,
    `${yaml}: line 3: networks[1].name: names that begin with ~ are reserved, such as ~other`,
    `${yaml}: line 3: networks[1].kind: expected private, internet or cloud`,
  ]);
  expect(await of([empty])).toEqual([`${empty}: is empty; for no networks write networks: []`]);
  expect(await of([], tsv)).toEqual([expect.stringContaining(`${tsv}: line 1: expected`)]);
  expect(await of([join(folder, 'none')])).toEqual([expect.stringContaining('ENOENT')]);
  expect(await of([])).toEqual([]);
});
