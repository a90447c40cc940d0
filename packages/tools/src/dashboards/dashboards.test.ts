import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { selfMetrics } from '../docs/self-metrics.ts';
import { dashboardFiles } from './files.ts';
import { overview } from './panels.ts';

test.each([...dashboardFiles()].map(([path, text]) => [basename(path), path, text] as const))(
  '%s is as its source says (else run packages/tools/src/dashboards/write.ts)',
  (_, path, text) => {
    expect(readFileSync(path, 'utf8')).toBe(text);
  },
);

describe.each([
  ['counter', 'pods'],
  ['delta', 'pods'],
  ['counter', 'workloads'],
  ['delta', 'workloads'],
] as const)('%s, %s', (mode, set) => {
  const panels = overview(mode, set).flatMap((section) => section.panels);

  test('every panel has a title of its own, and says what it shows', () => {
    const titles = panels.map(({ title }) => title);
    expect(new Set(titles).size).toBe(titles.length);
    expect(panels.filter(({ description }) => !/^[A-Z].*\.$/.test(description))).toEqual([]);
  });

  test('every metric that a panel asks for is one of ours', async () => {
    const tables = Object.values(await selfMetrics()).join('');
    const asked = panels.flatMap(({ query }) => query.match(/egressd_\w+/g) ?? []);
    const unknown = asked.filter((name) => name !== 'egressd_transmit_bytes_total' && !tables.includes(`\`${name}\``));
    expect(unknown).toEqual([]);
  });
});
