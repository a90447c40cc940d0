import { expect, test } from '@jest/globals';
import { createRegistry } from './metrics.ts';
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
