import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { DAEMONS } from './build.ts';
import { ROOT } from './storage.ts';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const manifest = (path: string) =>
  JSON.parse(read(path)) as { version: string; nodeFlags?: string[]; nodeEnvironment?: Record<string, string> };

describe.each(DAEMONS)('Dockerfile.%s', (daemon) => {
  const text = read(`Dockerfile.${daemon}`);

  test('starts the compiled daemon with the flags of its package', () => {
    const { nodeFlags = [] } = manifest(`packages/${daemon}/package.json`);
    const command = ['/usr/local/bin/node', ...nodeFlags, '/app/dist/main.js'];
    expect(text).toContain(`\nENTRYPOINT [${command.map((word) => JSON.stringify(word)).join(', ')}]\n`);
  });

  test('without the inspector that SIGUSR1 opens', () => {
    const { nodeFlags = [] } = manifest(`packages/${daemon}/package.json`);
    const script =
      "process.kill(process.pid, 'SIGUSR1'); setTimeout(() => console.log(inspector.url() ?? 'none'), 300)";
    const output = execFileSync(process.execPath, [...nodeFlags, '-e', script], { encoding: 'utf8', stdio: 'pipe' });
    expect(output).toBe('none\n');
  });

  test('in the environment of its package', () => {
    const [, environment = ''] = /\nENV (NODE_ENV=.*)\n/.exec(text) ?? [];
    const { nodeEnvironment = {} } = manifest(`packages/${daemon}/package.json`);
    const settings = Object.entries(nodeEnvironment).map((setting) => setting.join('='));
    expect(environment.split(' ').filter((setting) => setting.startsWith('MALLOC_'))).toEqual(settings);
  });

  test('has the versions that the checkout has', () => {
    expect(text).toContain(`\nARG VERSION=${manifest('package.json').version}\n`);
    const [, pnpm] = /const PNPM = 'pnpm@(.*)'/.exec(read('packages/tools/setup/workspace.mjs')) ?? [];
    expect(text).toContain(`\nARG PNPM_VERSION=${pnpm}\n`);
  });
});

test('nor do the programs that the chart starts by name open it', () => {
  const templates = join(ROOT, 'deploy/chart/egressd/templates');
  const commands = readdirSync(templates, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(tpl|yaml)$/.test(name))
    .flatMap((name) => readFileSync(join(templates, name), 'utf8').match(/command: \[.*/g) ?? []);
  expect(commands.length).toBeGreaterThan(1);
  for (const command of commands) expect(command).toMatch(/^command: \["node", "--disable-sigusr1", "\/app\//);
});

describe('packages of the workspace', () => {
  const names = readdirSync(join(ROOT, 'packages'), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() && entry.name !== 'node_modules' ? entry.name : [],
  );
  const compiled = names.filter((name) => read('packages/tsconfig.build.json').includes(`"${name}/src"`));

  test.each(DAEMONS)(
    'are all known to pnpm in Dockerfile.%s, and those that are not compiled are not installed',
    (daemon) => {
      const text = read(`Dockerfile.${daemon}`);
      const copied = [...text.matchAll(/^COPY packages\/(\w+)\/package\.json packages\/\1\/$/gm)].map(
        ([, name]) => name!,
      );
      expect(copied.sort()).toEqual(names.sort());
      const omitted = [...text.matchAll(/--filter '!@egressd\/(\w+)'/g)].map(([, name]) => name!);
      expect([...omitted, ...compiled].sort()).toEqual(names);
    },
  );
});

test('both share the steps before the daemon, so that they are done once', () => {
  const [collector = '', exporter] = DAEMONS.map((daemon) => {
    const text = read(`Dockerfile.${daemon}`);
    return text.slice(text.indexOf('\nFROM '), text.indexOf('\n# This daemon'));
  });
  expect(collector).toMatch(/pnpm .*install --frozen-lockfile/);
  expect(collector).toBe(exporter);
});
