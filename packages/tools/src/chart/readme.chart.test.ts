import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { find, helm, type KubeObject, ROOT, render, renderNotes } from './helm.ts';
import { schemaMistakes } from './objects-check.ts';

/** What a new user writes and types, from the section about installing. */
const SECTION = /^## Install with Helm$.*?(?=^## )/ms.exec(readFileSync(join(ROOT, 'README.md'), 'utf8'))![0];
const blocks = (language: string) =>
  [...SECTION.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map(([, text]) => text!);

/** Commands with their arguments, without what is said about them. */
const COMMANDS = blocks('sh')
  .flatMap((block) => block.split('\n'))
  .map((line) => line.replace(/\s+#.*$/, '').trim())
  .filter((line) => line !== '');

describe('the values', () => {
  const values: unknown = parse(blocks('yaml')[0]!);
  let objects: KubeObject[];

  beforeAll(async () => {
    objects = await render({ values });
  });

  test('are good, and make good objects', async () => {
    expect((await Promise.all(objects.map(schemaMistakes))).flat()).toEqual([]);
  });

  test('name the images and the database', () => {
    const text = JSON.stringify(objects);
    for (const daemon of ['collector', 'exporter']) expect(text).toContain(`registry.example/mine/egressd-${daemon}:`);
    expect(JSON.stringify(find(objects, 'ConfigMap').data)).toContain('victoria-metrics.monitoring:8428/api/v1/write');
  });

  test('leave nothing in the notes but what every installation shows', async () => {
    const notes = await renderNotes({ values });
    const shown = /Look at this:(.*?)If nothing comes/s.exec(notes)?.[1] ?? '';
    expect(shown.match(/^- .*/gm)).toEqual([expect.stringContaining('Remote write sends growing counters')]);
  });
});

describe('the commands', () => {
  test('are there', () => {
    expect(COMMANDS.length).toBeGreaterThan(3);
  });

  test.each(COMMANDS.filter((command) => command.startsWith('helm install')))('%s', async (command) => {
    const [, , ...args] = command.split(/\s+/);
    const own = args.map((arg) => (arg === 'values.yaml' ? '-' : arg.startsWith('deploy/') ? join(ROOT, arg) : arg));
    expect(await helm(['template', ...own], blocks('yaml')[0])).toContain('kind: DaemonSet');
  });

  test.each(COMMANDS.filter((command) => command.startsWith('deploy/')))('%s', (command) => {
    const [script, ...args] = command.split(/\s+/);
    const words = readFileSync(join(ROOT, script!), 'utf8');
    for (const arg of args.filter((one) => one.startsWith('--'))) expect(words).toContain(`${arg})`);
  });

  test.each(COMMANDS.filter((command) => command.startsWith('helm test')))(
    '%s: there is something to run',
    async () => {
      const objects = await render();
      const hooks = objects.filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] === 'test');
      expect(hooks.length).toBeGreaterThan(0);
    },
  );
});
