import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { daemonCommand } from '@egressd/world/daemons/daemon-command';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';

/** The version of the release is written in every package.json and in the chart: all of them name the same one. */
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const versionOf = (path: string): unknown => JSON.parse(read(path)).version;

const VERSION = versionOf('package.json');
const PACKAGES = readdirSync(join(ROOT, 'packages'), { withFileTypes: true }).filter((entry) => entry.isDirectory());

describe(`version ${VERSION}`, () => {
  test.each(
    PACKAGES.map(({ name }) => `packages/${name}/package.json`).filter((path) => !path.includes('node_modules')),
  )('is that of %s', (path) => expect(versionOf(path)).toBe(VERSION));

  test('is that of the chart, and of the images that it installs', () => {
    expect(parse(read('deploy/chart/egressd/Chart.yaml'))).toMatchObject({ version: VERSION, appVersion: VERSION });
  });

  test.each(['collector', 'exporter'] as const)('is what the %s prints for -version', async (name) => {
    const [command = '', ...args] = daemonCommand(name);
    const { stdout } = await promisify(execFile)(command, [...args, '-version']);
    expect(stdout.split(' ').slice(0, 2)).toEqual([`egressd-${name}`, VERSION]);
  });
});

test('a release compares its tag with every package.json, the one that -version reads among them, and with the chart', () => {
  const workflow = read('.github/workflows/release.yml');
  expect(workflow).toContain('for file in package.json packages/*/package.json; do');
  expect(workflow).toContain('[ "$(jq -r .version "$file")" = "$version" ]');
  expect(workflow).toMatch(/grep -qx "version: \$version" deploy\/chart\/egressd\/Chart\.yaml/);
  expect(workflow).toMatch(/grep -qx "appVersion: \\"\$version\\"" deploy\/chart\/egressd\/Chart\.yaml/);
});
