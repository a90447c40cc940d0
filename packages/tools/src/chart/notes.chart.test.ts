import { describe, expect, test } from '@jest/globals';
import { renderNotes } from './helm.ts';

const WRITES = { prom_remote_write: { url: 'http://a/api/v1/write' } };
const STDOUT = { stdout: {} };

function withSinks(sinks: unknown, more: object = {}): unknown {
  return { exporter: { structuredConfig: { sinks } }, ...more };
}

const NO_SINK = 'There is no sink';
const UNNAMED = 'do not say which cluster they are from';
const DELTA = 'Remote write sends growing counters';
const PLAIN = 'the stream between collectors and exporter is plain text';
const UNKNOWN = "These values are none of this chart's and do nothing";
const SECRET = 'restart the exporter when you change it';
const LITERAL = 'These look like secrets, and stand in plain text in the ConfigMap';
const WARNINGS = [NO_SINK, UNNAMED, DELTA, PLAIN, UNKNOWN, SECRET, LITERAL];

describe('notes after an install', () => {
  test.each<[string, unknown, string[]]>([
    ['the defaults', {}, [NO_SINK]],
    ['remote write', withSinks({ a: WRITES }), [UNNAMED, DELTA]],
    ['remote write with a name', withSinks({ a: WRITES }, { clusterName: 'blue' }), [DELTA]],
    [
      'remote write with a label of its own',
      withSinks({ a: { prom_remote_write: { url: 'http://a/w', labels: { cluster: 'blue' } } } }),
      [DELTA],
    ],
    [
      'remote write in the old way',
      withSinks({ a: WRITES }, { clusterName: 'blue', collector: { extraArgs: { 'send-traffic-delta': true } } }),
      [],
    ],
    ['lines only', withSinks({ a: STDOUT }), []],
    ['a configuration in a Secret', { exporter: { existingSecretForConfig: 's' } }, [SECRET, DELTA]],
    ['plain text', withSinks({ a: STDOUT }, { tls: { enabled: false } }), [PLAIN]],
    [
      'an API key in plain text',
      withSinks({ a: { http: { url: 'https://a/', headers: { 'X-API-Key': 'k' } } } }),
      [LITERAL],
    ],
  ])('%s', async (_, values, expected) => {
    const notes = await renderNotes({ values });
    expect(WARNINGS.filter((warning) => notes.includes(warning))).toEqual(
      WARNINGS.filter((warning) => expected.includes(warning)),
    );
  });

  test('names the settings that the chart does not know, and no others', async () => {
    const collector = { enablePriorityClass: true, extraArgs: { 'log-level': 'debug' } };
    const notes = await renderNotes({
      values: { global: { other: 1 }, promtail: {}, collector, castai: { organization: 'o' } },
    });
    const line = notes.split('\n').find((text) => text.includes(UNKNOWN));
    expect(line).toBe(`- ${UNKNOWN}: promtail, castai.organization, collector.enablePriorityClass`);
  });

  test('names what looks like a secret in plain text, not its value, and nothing that is a variable', async () => {
    const http = (url: string, headers: object) => ({ http: { url, headers } });
    const notes = await renderNotes({
      values: withSinks({
        a: http('https://user:pass-word@a/', { 'X-Scope-OrgID': 'b' }),
        // biome-ignore-start lint/suspicious/noTemplateCurlyInString: as it is in a configuration
        b: http('https://user:${PASSWORD}@a/?token=${TOKEN}', { Authorization: 'Bearer ${TOKEN}' }),
        // biome-ignore-end lint/suspicious/noTemplateCurlyInString: as above
        c: http('https://a/?api_key=pass-word', { Authorization: 'Bearer pass-word' }),
      }),
    });
    const line = notes.split('\n').find((text) => text.includes(LITERAL));
    expect(line).toMatch(/: sinks\.a\.http\.url, sinks\.c\.http\.url, sinks\.c\.http\.headers\.Authorization$/);
    expect(notes).not.toContain('pass-word');
  });

  test('say the next commands, and how the difference to the charts before is undone', async () => {
    const values = withSinks({ a: WRITES });
    const notes = await renderNotes({ values, release: 'traffic', namespace: 'network' });
    for (const line of [
      'curl -s http://127.0.0.1:6060/metrics | grep ^egressd_exporter_node_problems',
      'kubectl -n default get events --field-selector involvedObject.kind=Node',
      'kubectl -n network rollout status daemonset/traffic-egressd',
      'helm test traffic -n network',
      'kubectl -n network port-forward service/traffic-egressd-exporter 6060',
      'sum_over_time(egressd_transmit_bytes_total[1d])',
      'increase(egressd_transmit_bytes_total[1d])',
      '--set collector.extraArgs.send-traffic-delta=true',
      'kubectl -n network delete secret traffic-egressd-ca traffic-egressd-exporter-tls traffic-egressd-collector-tls',
    ])
      expect(notes).toContain(line);
    expect(notes).not.toMatch(/\n\n\n|<no value>|[ \t]\n/);
  });
});
