import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readConfig } from '@egressd/exporter/config/load';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { container, find, type KubeObject, render } from '../chart/helm.ts';
import { schemaMistakes } from '../chart/objects-check.ts';
import { ROOT } from './documents.ts';

const FOLDER = join(ROOT, 'examples/values');

/** What each comes to: where the exporter sends. */
const SINKS: Readonly<Record<string, object>> = {
  'castai.yaml': {
    name: 'castai',
    kind: 'http',
    settings: expect.objectContaining({
      url: 'https://api.cast.ai/v1/kubernetes/clusters/<CLUSTER_ID>/egressd-metrics',
      headers: { 'X-API-Key': '<API_KEY>' },
    }),
  },
  'clickhouse.yaml': {
    name: 'clickhouse',
    kind: 'http',
    settings: expect.objectContaining({
      url: expect.stringContaining('?query=INSERT%20INTO%20egressd.flows%20FORMAT%20JSONEachRow&'),
      encoding: 'json',
      basicAuth: { username: 'egressd', passwordFile: '/etc/clickhouse/password' },
    }),
  },
  'cortex.yaml': remoteWrite('cortex', {
    url: 'https://cortex.example/api/v1/push',
    headers: { 'X-Scope-OrgID': 'network' },
    bearerTokenFile: '/etc/cortex/token',
  }),
  'loki.yaml': {
    name: 'loki',
    kind: 'http',
    settings: expect.objectContaining({ encoding: 'loki', labels: { cluster: 'blue' }, compression: 'gzip' }),
  },
  'mimir-tenant.yaml': remoteWrite('mimir', { headers: { 'X-Scope-OrgID': 'network' }, maxSeries: 150_000 }),
  'otel-collector.yaml': {
    name: 'otel-collector',
    kind: 'otlp',
    settings: expect.objectContaining({
      url: 'http://otel-collector.monitoring.svc:4318/v1/metrics',
      resourceAttributes: { 'k8s.cluster.name': 'blue' },
      attributeNames: 'conventions',
      sendReceivedBytesMetric: true,
      regionLabels: true,
    }),
  },
  'prometheus-only.yaml': remoteWrite('prometheus', {
    url: 'http://prometheus-server.monitoring.svc/api/v1/write',
    headers: {},
  }),
  'vector.yaml': {
    name: 'vector',
    kind: 'http',
    settings: expect.objectContaining({ url: 'http://vector.monitoring.svc:8080/egressd', encoding: 'json' }),
  },
  'victoria-metrics.yaml': remoteWrite('victoria-metrics', { sendReceivedBytesMetric: true, regionLabels: true }),
};

function remoteWrite(name: string, settings: object): object {
  return {
    name,
    kind: 'prom_remote_write',
    settings: expect.objectContaining({ labels: { cluster: 'blue' }, ...settings }),
  };
}

/** Variables of the exporter, each with its own name in place of what a Secret holds. */
function environmentOf(objects: readonly KubeObject[]): Record<string, string> {
  const { env = [] } = container(find(objects, 'Deployment'));
  return Object.fromEntries(env.map(({ name, value }) => [name, value ?? `<${name}>`]));
}

/** What a file of examples/values renders. */
function rendered(file: string): Promise<KubeObject[]> {
  return render({ values: parse(readFileSync(join(FOLDER, file), 'utf8')) });
}

describe('examples/values', () => {
  test('are all expected', () => {
    expect(readdirSync(FOLDER).sort()).toEqual(Object.keys(SINKS));
  });

  test.each(Object.entries(SINKS))('%s', async (file, sink) => {
    const objects = await rendered(file);
    expect((await Promise.all(objects.map(schemaMistakes))).flat()).toEqual([]);
    const text = find(objects, 'ConfigMap', '-exporter').data!['config.yaml']!;
    const config = readConfig(text, '/etc/egressd/config/config.yaml', environmentOf(objects));
    expect(config).toMatchObject({ ok: true, warnings: [], config: { sinks: [sink] } });
  });
});
