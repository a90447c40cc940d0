import { expect, test } from '@jest/globals';
import { Counter } from 'prom-client';
import { createRegistry } from './metrics.ts';
import { toOpenMetrics } from './openmetrics.ts';
import { VERSION, versionLine } from './version.ts';

test('a registry says what runs and what it costs', async () => {
  const text = await createRegistry().metrics();
  expect(text).toContain(
    `egressd_build_info{version="${VERSION}",commit="unknown",node_version="${process.version}"} 1\n`,
  );
  expect(text).toContain('process_resident_memory_bytes');
  expect(text).toContain('nodejs_eventloop_active_seconds_total');
});

test('it shows no delay that is only the interval of a timer, and no gauge that is named like a counter', async () => {
  const metrics = (await createRegistry().getMetricsAsJSON()).map(({ name, type }) => `${name} ${type}`);
  expect(metrics.filter((metric) => /eventloop_lag|_total gauge$/.test(metric))).toEqual([]);
});

test('registries are apart: two daemons may live in one process', async () => {
  const [one, other] = [createRegistry(), createRegistry()];
  one.clear();
  expect(await other.metrics()).toContain('egressd_build_info');
});

test('the version is that of the package', () => {
  expect(VERSION).toMatch(/^\d+\.\d+\.\d+/);
  expect(versionLine('egressd-exporter')).toMatch(/^egressd-exporter \d+\.\d+\.\d+ \(commit unknown, Node\.js v\d+/);
});

test('labels are escaped as both text formats want it: no value can end its line or its quotation', async () => {
  const registry = createRegistry();
  const labels = { name: 'a"} 1\n# EOF\nforged_total{x="\\' };
  new Counter({ name: 'egressd_test_total', help: 'x', labelNames: ['name'], registers: [registry] }).inc(labels, 7);
  const text = await registry.metrics();
  const line = 'egressd_test_total{name="a\\"} 1\\n# EOF\\nforged_total{x=\\"\\\\"} 7';
  for (const page of [text, toOpenMetrics(text)]) {
    expect(page.split('\n').filter((it) => it.includes('forged'))).toEqual([line]);
    expect(page.split('\n')).not.toContain('# EOF');
  }
});
