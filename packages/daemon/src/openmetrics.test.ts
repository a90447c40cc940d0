import { expect, test } from '@jest/globals';
import { acceptsOpenMetrics, toOpenMetrics } from './openmetrics.ts';

test.each<[string, string | undefined, boolean]>([
  ['no header', undefined, false],
  ['curl', '*/*', false],
  [
    'Prometheus 2.42',
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
    true,
  ],
  [
    'Prometheus 3',
    'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
    true,
  ],
  ['vmagent', 'text/plain;version=0.0.4;q=1,*/*;q=0.1', false],
  ['a browser', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', false],
  ['text first', 'Text/Plain, application/openmetrics-text; version=1.0.0; q=0.9', false],
  ['capitals and spaces', 'Application/OpenMetrics-Text; version=1.0.0', true],
  ['refused', 'application/openmetrics-text; q=0', false],
  ['a version to come', 'application/openmetrics-text; version=2.0.0', false],
  ['no number', 'application/openmetrics-text; q=x', false],
])('%s: %j, %s', (_, accept, expected) => {
  expect(acceptsOpenMetrics(accept)).toBe(expected);
});

test('a counter is named without _total but in its samples, help is escaped, no line is empty', () => {
  const text = [
    ...['# HELP a_total Of "a" and b_total.', '# TYPE a_total counter', 'a_total{x="# TYPE b_total counter"} 1', ''],
    ...['# HELP a_total_bytes A gauge.', '# TYPE a_total_bytes gauge', 'a_total_bytes 2', ''],
    ...['# HELP c_seconds A histogram.', '# TYPE c_seconds histogram', 'c_seconds_bucket{le="+Inf"} 1', ''],
  ].join('\n');
  expect(toOpenMetrics(text).split('\n')).toEqual([
    ...['# HELP a Of \\"a\\" and b_total.', '# TYPE a counter', 'a_total{x="# TYPE b_total counter"} 1'],
    ...['# HELP a_total_bytes A gauge.', '# TYPE a_total_bytes gauge', 'a_total_bytes 2'],
    ...['# HELP c_seconds A histogram.', '# TYPE c_seconds histogram', 'c_seconds_bucket{le="+Inf"} 1', ''],
  ]);
});

test('samples alone stay as they are', () => {
  const samples = 'a_total{x="#"} 1\na_total{x="y"} 2\n';
  expect(toOpenMetrics(samples)).toBe(samples);
});
