import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { ROOT } from './documents.ts';

/** The part of a Collector's configuration that this test knows (https://opentelemetry.io/docs/collector/configuration/). */
interface CollectorConfig {
  readonly receivers: Readonly<Record<string, { protocols: { http: { endpoint: string } } }>>;
  readonly processors: Readonly<Record<string, unknown>>;
  readonly exporters: Readonly<Record<string, { sending_queue?: { enabled?: boolean } }>>;
  readonly service: {
    readonly pipelines: Readonly<Record<string, Record<'receivers' | 'processors' | 'exporters', string[]>>>;
  };
}

test('examples/otel-collector: what the pipeline names is there, and nothing is acknowledged before it was handed on', () => {
  const config = parse(readFileSync(join(ROOT, 'examples/otel-collector/config.yaml'), 'utf8')) as CollectorConfig;
  const { receivers, processors, exporters } = config.service.pipelines.metrics!;
  expect(receivers).toEqual(Object.keys(config.receivers));
  expect(processors).toEqual(Object.keys(config.processors));
  expect(exporters).toEqual(Object.keys(config.exporters));
  expect(Object.values(config.exporters).map((exporter) => exporter.sending_queue?.enabled)).toEqual([
    false,
    false,
    false,
  ]);
  expect(config.receivers.otlp?.protocols.http.endpoint).toMatch(/:4318$/);
});

/** Columns of examples/clickhouse/table.sql, each with its type. */
function columnsOfTable(): string[] {
  const sql = readFileSync(join(ROOT, 'examples/clickhouse/table.sql'), 'utf8');
  return [...sql.matchAll(/^ {4}(\w+) +(\w+)/gm)].map(([, name = '']) => name);
}

test('the table for ClickHouse has every field of a line, and no other', () => {
  const schema = JSON.parse(readFileSync(join(ROOT, 'packages/exporter/src/sinks/items/flow.schema.json'), 'utf8'));
  expect(columnsOfTable().sort()).toEqual(Object.keys(schema.properties).sort());
});

test('Vector listens where the sink sends', () => {
  const vector = parse(readFileSync(join(ROOT, 'examples/vector/vector.yaml'), 'utf8'));
  const { address, path } = vector.sources.egressd;
  expect(`http://vector.monitoring.svc${address.replace(/^.*:/, ':')}${path}`).toBe(
    'http://vector.monitoring.svc:8080/egressd',
  );
  for (const { inputs } of [...Object.values<{ inputs: string[] }>(vector.transforms), vector.sinks.files])
    for (const input of inputs) expect({ ...vector.sources, ...vector.transforms }).toHaveProperty(input);
});
