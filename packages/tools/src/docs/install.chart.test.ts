import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { find, helm, ROOT, render, renderNotes } from '../chart/helm.ts';
import { schemaMistakes } from '../chart/objects-check.ts';
import { commands, DOCUMENTS, readDocument } from './documents.ts';
import { YAML_BLOCKS } from './yaml-blocks.ts';

/** Values of the chart in the documents. */
const VALUES = YAML_BLOCKS.filter(({ kind }) => kind === 'values').map((block) => [block.title, block] as const);
/** The values.yaml that the page about Kubernetes has a reader write. */
const INSTALL = VALUES.find(([title]) => title.startsWith('docs/kubernetes.md'))![1];

/** Commands of all documents that begin so. */
function started(...words: readonly string[]): string[] {
  const all = DOCUMENTS.flatMap(commands).filter((command) => words.some((word) => command.startsWith(word)));
  return [...new Set(all)];
}

describe('values of the chart', () => {
  test.each(VALUES)('make good objects: %s', async (_, { value }) => {
    const objects = await render({ values: value });
    expect((await Promise.all(objects.map(schemaMistakes))).flat()).toEqual([]);
  });
});

describe('values.yaml of docs/kubernetes.md', () => {
  test('name the images and the database', async () => {
    const objects = await render({ values: INSTALL.value });
    const text = JSON.stringify(objects);
    for (const daemon of ['collector', 'exporter']) expect(text).toContain(`registry.example/mine/egressd-${daemon}:`);
    expect(JSON.stringify(find(objects, 'ConfigMap').data)).toContain('victoria-metrics.monitoring:8428/api/v1/write');
  });

  test('leave nothing in the notes but what every installation shows', async () => {
    const notes = await renderNotes({ values: INSTALL.value });
    const shown = /Look at this:(.*?)If nothing comes/s.exec(notes)?.[1] ?? '';
    expect(shown.match(/^- .*/gm)).toEqual([
      expect.stringContaining('Remote write sends growing counters'),
      expect.stringContaining('counters start at zero'),
    ]);
  });
});

describe('commands', () => {
  test('are on the front page and on the page about Kubernetes', () => {
    for (const page of ['README.md', 'docs/kubernetes.md'])
      expect(commands(readDocument(page)).filter((command) => command.startsWith('helm '))).toHaveLength(2);
  });

  test.each(started('helm install', 'helm upgrade'))('%s', async (command) => {
    const [, , ...args] = command.split(/\s+/);
    const own = args.map((arg) =>
      /^(your-)?values\.yaml$/.test(arg) ? '-' : /^(deploy|examples)\//.test(arg) ? join(ROOT, arg) : arg,
    );
    expect(await helm(['template', ...own], INSTALL.text)).toContain('kind: DaemonSet');
  });

  test.each(started('deploy/'))('%s', (command) => {
    const [script, ...args] = command.split(/\s+/);
    const words = readFileSync(join(ROOT, script!), 'utf8');
    for (const arg of args.filter((one) => one.startsWith('--'))) expect(words).toContain(`${arg})`);
  });

  test.each(started('helm test'))('%s: there is something to run', async () => {
    const objects = await render();
    const hooks = objects.filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] === 'test');
    expect(hooks.length).toBeGreaterThan(0);
  });
});
