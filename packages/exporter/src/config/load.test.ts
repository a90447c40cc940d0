// biome-ignore-all lint/suspicious/noTemplateCurlyInString: `${VAR}` in the text of a file is what is tested.
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { configCheck } from './check.ts';
import { loadConfig, readConfig } from './load.ts';
import { describeConfig } from './show.ts';

const TESTDATA = join(import.meta.dirname, 'testdata');
const SECRETS = { PASSWORD: 's3cret', TOKEN: 's3cret', API_KEY: 's3cret', TENANT: 's3cret' };
const ENVIRONMENT = { ...SECRETS, CLUSTER_ID: 'blue' };

const folder = mkdtempSync(join(tmpdir(), 'egressd-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A file's text, read as if it stood in /etc/egressd. */
function readTestdata(name: string, environment = {}) {
  return readConfig(readFileSync(join(TESTDATA, name), 'utf8'), `/etc/egressd/${name}`, environment);
}

/** What is wrong with a text, without the name of the file. */
function mistakesOf(text: string, environment = {}): string[] {
  const loaded = readConfig(text, 'c.yaml', environment);
  return loaded.ok ? [] : loaded.mistakes.map((line) => line.replace('c.yaml: ', ''));
}

function configOf(text: string, environment = {}) {
  const loaded = readConfig(text, '/etc/egressd/c.yaml', environment);
  if (!loaded.ok) throw new Error(loaded.mistakes.join('\n'));
  return loaded.config;
}

/** What every sink has where nothing is set. */
const LABELS = { labelSet: 'pods', addLabels: [], omitLabels: [] };

/** `UPDATE_GOLDEN=1` writes what is found instead of comparing. */
function expectGolden(name: string, text: string): void {
  const path = join(TESTDATA, name);
  if (process.env.UPDATE_GOLDEN) writeFileSync(path, text);
  expect(text).toBe(readFileSync(path, 'utf8'));
}

describe('-config-check', () => {
  test.each([
    ['prometheus.yaml', 0],
    ['saas.yaml', 0],
    ['everything.yaml', 0],
  ])('%s', (name, code) => {
    const answer = configCheck(readTestdata(name, ENVIRONMENT));
    expectGolden(name.replace('.yaml', '.txt'), answer.text);
    expect(answer.code).toBe(code);
    expect(answer.text).not.toMatch(/s3cret|literal-secret|: secret|007/);
  });

  test('mistakes', () => {
    const loaded = readTestdata('mistakes.yaml', {});
    const mistakes = loaded.ok ? [] : loaded.mistakes;
    expectGolden('mistakes.txt', `${mistakes.join('\n')}\n`);
    const { text, code } = configCheck(loaded);
    expect(code).toBe(1);
    expect(text).toBe([...mistakes.slice(0, 20), `and ${mistakes.length - 20} more`, '26 mistakes', ''].join('\n'));
    expect(text).not.toMatch(/s3cret|literal-secret|: secret|007/);
  });
});

describe('what is read', () => {
  test('an old Prometheus configuration', () => {
    const loaded = readTestdata('prometheus.yaml');
    expect(loaded).toMatchObject({
      ok: true,
      warnings: [],
      config: {
        exportIntervalMs: 60_000,
        metrics: { flows: false },
        sinks: [
          {
            name: 'prom_sink',
            kind: 'prom_remote_write',
            settings: {
              url: 'http://egressd-victoria:8428/api/v1/write',
              headers: { 'My-Optional-Header': 'my-header-value' },
              labels: { my_custom_label: 'label_value' },
              sendReceivedBytesMetric: false,
              sendPacketsMetric: false,
              regionLabels: false,
              timeoutMs: 30_000,
              maxSeries: 100_000,
              ...LABELS,
            },
          },
        ],
      },
    });
  });

  test('every setting', () => {
    const loaded = readTestdata('everything.yaml', ENVIRONMENT);
    expect(loaded).toMatchObject({
      ok: true,
      warnings: [
        '/etc/egressd/everything.yaml: collectorsConcurrentFetchCount is not used any more: collectors push',
        '/etc/egressd/everything.yaml: collectorFetchTimeout is not used any more: collectors push',
        '/etc/egressd/everything.yaml: log is not used any more: set the flag -log-level',
      ],
    });
    expect(loaded.ok && loaded.config).toMatchObject({
      exportIntervalMs: 90_000,
      inventory: '/etc/egressd/inventory.yaml',
      metrics: { flows: true },
      sinks: [
        {
          name: 'mimir',
          settings: {
            url: 'https://user:s3cret@mimir.example/s3cret/push?token=s3cret&x=1',
            headers: { 'X-Scope-OrgID': '007', 'X-Api-Key': 'literal-secret' },
            labels: { cluster: 'blue', shard: '1.0' },
            sendReceivedBytesMetric: true,
            sendPacketsMetric: true,
            regionLabels: true,
            timeoutMs: 10_000,
            maxSeries: 5000,
            ...LABELS,
            proxyUrl: 'http://proxy:s3cret@10.0.0.1:3128',
            tls: {
              caFile: '/etc/egressd/tls/ca.crt',
              certFile: '/etc/egressd/tls/tls.crt',
              keyFile: '/etc/egressd/tls/tls.key',
              serverName: 'mimir',
              insecureSkipVerify: true,
            },
          },
        },
        {
          name: 'thanos',
          settings: { basicAuth: { username: 'egressd', passwordFile: '/etc/egressd/password' } },
        },
        { name: 'cortex', settings: { bearerTokenFile: '/etc/egressd/token' } },
        {
          name: 'castai',
          kind: 'http',
          settings: {
            url: 'https://api.example/s3cret',
            method: 'PUT',
            encoding: 'json',
            headers: { 'X-API-Key': 's3cret' },
          },
        },
        { name: 'log', kind: 'file', settings: { path: '/etc/egressd/log/flows.jsonl', maxSizeMB: 10, maxFiles: 2 } },
        { name: 'output', kind: 'stdout', settings: { maxSeries: 100_000, ...LABELS } },
      ],
    });
  });

  test('the configuration for CAST AI', () => {
    const loaded = readTestdata('saas.yaml', { CLUSTER_ID: 'c-1', API_KEY: 'k' });
    expect(loaded).toMatchObject({ ok: true, warnings: [] });
    expect(loaded.ok && loaded.config.sinks).toEqual([
      {
        name: 'castai',
        kind: 'http',
        settings: {
          url: 'https://api.cast.ai/v1/kubernetes/clusters/c-1/egressd-metrics',
          method: 'POST',
          encoding: 'protobuf',
          compression: 'gzip',
          labels: {},
          headers: { 'X-API-Key': 'k' },
          maxSeries: 100_000,
          ...LABELS,
          timeoutMs: 30_000,
          written: {
            url: 'https://api.cast.ai/v1/kubernetes/clusters/${CLUSTER_ID}/egressd-metrics',
            proxyUrl: undefined,
            secrets: ['c-1', 'k'],
          },
        },
      },
    ]);
  });

  test('files and standard output', () => {
    const config = configOf(
      'sinks:\n  a: { file: { path: flows.jsonl, maxSizeMB: 1 } }\n  b: { stdout: }\n  c: { stdout: {} }\n',
    );
    expect(config.sinks).toEqual([
      {
        name: 'a',
        kind: 'file',
        settings: { path: '/etc/egressd/flows.jsonl', maxSizeMB: 1, maxFiles: 5, maxSeries: 100_000, ...LABELS },
      },
      { name: 'b', kind: 'stdout', settings: { maxSeries: 100_000, ...LABELS } },
      { name: 'c', kind: 'stdout', settings: { maxSeries: 100_000, ...LABELS } },
    ]);
  });

  test.each(['', '# nothing\n', '---\n', '{}', 'sinks:\nmetrics:\npodIP:\nexportInterval: null\ninventory: ~\n'])(
    '%j is all defaults, and without a sink /metrics carries the flows',
    (text) => {
      expect(configOf(text)).toEqual({
        exportIntervalMs: 60_000,
        inventory: undefined,
        clusterRanges: [],
        privateRanges: [],
        networks: [],
        networkFiles: [],
        cloudRanges: undefined,
        keepUnlisted: true,
        metrics: { flows: true },
        sinks: [],
      });
    },
  );

  test('the environment overrides the file, except where it is empty', () => {
    const file = 'podIP: 10.0.0.1\npodNamespace: a\nexportInterval: 5s\nmetrics: { flows: false }\n';
    expect(configOf(file, { EXPORT_INTERVAL: '7s' })).toMatchObject({ exportIntervalMs: 7000 });
    expect(configOf(file, { EXPORT_INTERVAL: '' })).toMatchObject({ exportIntervalMs: 5000 });
  });

  test('an anchor and a merge key, as Go reads them', () => {
    const config = configOf(
      'sinks:\n  a:\n    prom_remote_write: &base { url: "http://a", maxSeries: 5 }\n' +
        '  b:\n    prom_remote_write: { <<: *base, url: "http://b" }\n',
    );
    expect(config.sinks.map(({ settings }) => settings)).toMatchObject([
      { url: 'http://a', maxSeries: 5 },
      { url: 'http://b', maxSeries: 5 },
    ]);
  });

  test('what a variable holds is not read again', () => {
    const file = 'sinks: { a: { prom_remote_write: { url: "http://a", headers: { X: "a${ONE}b$TWO{}" } } } }';
    const config = configOf(file, { ONE: '${TWO}', TWO: '2' });
    expect(config.sinks[0]?.settings).toMatchObject({ headers: { X: 'a${TWO}b$TWO{}' } });
  });
});

test.each([
  ['http://a', true],
  ['http://a:1?x=1', true],
  ['https://user:pass@a', true],
  ['http://a/', false],
  ['http://a/?x=1', false],
  ['http://a/write', false],
])('a URL without a path is warned of, unless it says so: %s', (url, warned) => {
  for (const kind of ['http', 'prom_remote_write', 'otlp']) {
    const loaded = readConfig(`sinks: { a: { ${kind}: { url: "${url}" } } }`, 'c.yaml', {});
    const warning = expect.stringContaining(`c.yaml: sinks.a.${kind}.url has no path, so requests go to /`);
    expect(loaded).toMatchObject({ ok: true, warnings: warned ? [warning] : [] });
  }
});

test('attributes of a resource take variables, and are shown as they are written', () => {
  const text =
    'sinks: { a: { otlp: { url: "http://a/", resourceAttributes: { k8s.cluster.name: "${CLUSTER_ID}" } } } }';
  const loaded = readConfig(text, 'c.yaml', ENVIRONMENT);
  expect(loaded.ok && loaded.config.sinks[0]?.settings).toMatchObject({
    resourceAttributes: { 'k8s.cluster.name': 'blue' },
    attributeNames: 'conventions',
  });
  expect(loaded.ok && loaded.shown).toContain('k8s.cluster.name: ${CLUSTER_ID}');
});

describe('label sets', () => {
  const read = (sinks: string) => readConfig(`sinks: { ${sinks} }`, 'c.yaml', {});
  const url = 'url: "http://a/write"';

  test('of every kind', () => {
    const set = 'labelSet: workloads, addLabels: [proto], omitLabels: [src_region]';
    const loaded = read(`a: { prom_remote_write: { ${url}, ${set} } }, b: { otlp: { ${url}, ${set} } },
      c: { http: { ${url}, encoding: json, ${set} } }, d: { file: { path: f, ${set} } }, e: { stdout: { ${set} } }`);
    expect(loaded.ok ? loaded.config.sinks : loaded.mistakes).toHaveLength(5);
    for (const { settings } of loaded.ok ? loaded.config.sinks : [])
      expect(settings).toMatchObject({ labelSet: 'workloads', addLabels: ['proto'], omitLabels: ['src_region'] });
  });

  test.each([
    ['stdout: { labelSet: pod }', 'labelSet: expected pods, workloads, namespaces or zones'],
    ['stdout: { addLabels: [team] }', 'addLabels[0]: expected src_ip'],
    ['stdout: { omitLabels: [src_workload] }', 'omitLabels: the label set pods has no label src_workload'],
    [`prom_remote_write: { ${url}, omitLabels: [scope] }`, 'omitLabels: the label set pods has no label scope'],
    [`http: { ${url}, labelSet: zones }`, 'encoding: protobuf has fields for the labels of pods only'],
    [
      `prom_remote_write: { ${url}, labelSet: workloads, labels: { src_workload: a } }`,
      'labels.src_workload: egressd sets this label itself',
    ],
  ])('mistakes: %s', (sink, mistake) => {
    const loaded = read(`a: { ${sink} }`);
    expect(loaded.ok ? [] : loaded.mistakes).toEqual([expect.stringContaining(mistake)]);
  });

  test('a label that only other sets have may be a custom one, as it could be before there were sets', () => {
    expect(read(`a: { prom_remote_write: { ${url}, labels: { src_workload: a } } }`).ok).toBe(true);
  });

  test('so are two of OTLP, unless their resources differ', () => {
    const warnings = (attributes: string) => {
      const sink = `otlp: { url: "http://a/", resourceAttributes: {`;
      const loaded = readConfig(`sinks: { a: { ${sink}} } }, b: { ${sink}${attributes}} } } }`, 'c.yaml', {});
      return loaded.ok ? loaded.warnings : loaded.mistakes;
    };
    expect(warnings('')).toEqual([expect.stringContaining('a label of its own (resourceAttributes)')]);
    expect(warnings('x: y')).toEqual([]);
  });

  test('two sinks of one database that count the same bytes are warned of', () => {
    const sink = (name: string, more: string) => `${name}: { prom_remote_write: { ${url}, ${more} } }`;
    const warnings = (second: string) => {
      const loaded = read(`${sink('a', 'labelSet: pods')}, ${sink('b', second)}`);
      return loaded.ok ? loaded.warnings : loaded.mistakes;
    };
    expect(warnings('labelSet: zones')).toEqual([expect.stringContaining('c.yaml: sinks a and b send to the same')]);
    expect(warnings('labelSet: zones, labels: { labels: zones }')).toEqual([]);
  });
});

test('the configuration in a line', () => {
  const loaded = readTestdata('everything.yaml', ENVIRONMENT);
  expect(loaded.ok && describeConfig(loaded.config)).toEqual({
    'export-interval': '1m30s',
    inventory: '/etc/egressd/inventory.yaml',
    'metrics-flows': true,
    sinks:
      'mimir:prom_remote_write,thanos:prom_remote_write,cortex:prom_remote_write,castai:http,log:file,output:stdout',
  });
});

describe('mistakes', () => {
  const sink = (settings: string) => `sinks:\n  a:\n    prom_remote_write: { url: "http://a"${settings} }\n`;
  const oneKind = 'expected exactly one of http, prom_remote_write, otlp, file and stdout';
  const interval = 'expected a duration from 100ms to 1h, such as 1m';

  test.each<[string, string[]]>([
    [
      'clusterRanges: [10.0.0.0/8, 10.0.0.0/33]\n',
      ['line 1: clusterRanges[1]: expected a range of addresses such as 10.0.0.0/8, "10.0.0.0/33" is none'],
    ],
    ['[]', ['line 1: expected a map of settings, found a list']],
    ['hello', ['line 1: expected a map of settings, found text']],
    ['podIP: 1\n', ['line 1: podIP: expected text, found a number']],
    ['\nexportinterval: 5s\n', ['line 2: exportinterval: unknown setting, did you mean exportInterval?']],
    ['exportInterval: 60\n', [`line 1: exportInterval: ${interval}`]],
    ['exportInterval: 0s\n', [`line 1: exportInterval: ${interval}`]],
    ['exportInterval: -1s\n', [`line 1: exportInterval: ${interval}`]],
    ['sinks: []\n', ['line 1: sinks: expected a map of settings, found a list']],
    ['sinks:\n  a:\n', ['line 2: sinks.a: expected a map of settings, found nothing']],
    ['sinks:\n  a: {}\n', [`line 2: sinks.a: ${oneKind}, found none`]],
    ['sinks:\n  a: { file: { path: x }, stdout: }\n', [`line 2: sinks.a: ${oneKind}, found file and stdout`]],
    ['sinks:\n  a: { file: {} }\n', ['line 2: sinks.a.file.path: expected text, found nothing']],
    ['sinks:\n  a: { file: { path: x, maxFiles: 0 } }\n', ['line 2: sinks.a.file.maxFiles: expected at least 1']],
    [
      'sinks:\n  a: { file: { path: x } }\n  b: { file: { path: ./x } }\n',
      ['line 3: sinks.b.file.path: the sink a writes this file already: each sink needs one of its own'],
    ],
    [
      'sinks:\n  a: { http: { url: "ftp://a", encoding: xml, tls: { keyFile: k } } }\n',
      [
        'line 2: sinks.a.http.encoding: expected protobuf, json or loki',
        'line 2: sinks.a.http.url: expected a URL that begins with http:// or https://',
        'line 2: sinks.a.http.tls: certFile and keyFile need each other: set both or none',
      ],
    ],
    [
      'sinks:\n  a:\n    otlp: { url: "ftp://a/", attributeNames: dots, resourceAttributes: { a b: x, y: [] }, header: {} }\n',
      [
        'line 3: sinks.a.otlp.resourceAttributes.y: expected text, found a list',
        'line 3: sinks.a.otlp.attributeNames: expected conventions or labels',
        'line 3: sinks.a.otlp.header: unknown setting, did you mean headers?',
        'line 3: sinks.a.otlp.url: expected a URL that begins with http:// or https://',
        'line 3: sinks.a.otlp.resourceAttributes["a b"]: not the name of an attribute, expected one such as k8s.cluster.name, without spaces',
      ],
    ],
    [
      'sinks:\n  a:\n    http: { url: "http://a/", encoding: json, labels: { a: b, 0: c } }\n',
      [
        'line 3: sinks.a.http.labels: only a stream of Loki has labels: set encoding to loki, or leave them out',
        'line 3: sinks.a.http.labels.0: not the name of a label, expected letters, digits and _, no digit first',
      ],
    ],
    [
      'sinks:\n  a:\n    prom_remote_write:\n',
      ['line 3: sinks.a.prom_remote_write: expected a map of settings, found nothing'],
    ],
    [
      'sinks:\n  a:\n    prom_remote_write: {}\n',
      ['line 3: sinks.a.prom_remote_write.url: expected text, found nothing'],
    ],
    [sink(', header: {}'), ['line 3: sinks.a.prom_remote_write.header: unknown setting, did you mean headers?']],
    [
      sink(', labels: { proto: x }'),
      ['line 3: sinks.a.prom_remote_write.labels.proto: egressd sets this label itself: choose another name'],
    ],
    [
      sink(', headers: { X: "${NOPE}" }'),
      ['line 3: sinks.a.prom_remote_write.headers.X: ${NOPE} is not set in the environment'],
    ],
    [
      sink(', headers: { X: "${toString}" }'),
      ['line 3: sinks.a.prom_remote_write.headers.X: ${toString} is not set in the environment'],
    ],
    [
      sink(', labels: { x: "${A-B}" }'),
      ['line 3: sinks.a.prom_remote_write.labels.x: expected the name of a variable and } after ${'],
    ],
    [
      sink(', labels: { x: "a${B" }'),
      ['line 3: sinks.a.prom_remote_write.labels.x: expected the name of a variable and } after ${'],
    ],
    [
      sink(', tls: { certFile: a }'),
      ['line 3: sinks.a.prom_remote_write.tls: certFile and keyFile need each other: set both or none'],
    ],
    ['podIP: "a\n', ['line 2, column 1: Missing closing "quote']],
    ['a: &a [*s3cret]\n', ['Unresolved alias (the anchor must be set before the alias)']],
    [
      'sinks: &s3cret { a: *s3cret }\n',
      ['line 1, column 21: an alias is within what it refers to: write the value out'],
    ],
  ])('%j', (text, mistakes) => {
    expect(mistakesOf(text)).toEqual(mistakes);
  });

  test('a mistake in EXPORT_INTERVAL names the environment', () => {
    expect(mistakesOf('podIp: x', { EXPORT_INTERVAL: 'often' })).toEqual([
      'line 1: podIp: unknown setting, did you mean podIP?',
      `EXPORT_INTERVAL in the environment: ${interval}`,
    ]);
  });

  test('aliases that multiply are refused, not followed', () => {
    const level = (n: number) =>
      `a${n}: &a${n} [${Array(10)
        .fill(`*a${n - 1}`)
        .join(', ')}]\n`;
    expect(mistakesOf(`a0: &a0 [x]\n${[1, 2, 3, 4, 5].map(level).join('')}`)).toEqual([
      expect.stringContaining('alias count'),
    ]);
  });

  test('no text breaks it, and no message holds the value of a header', () => {
    const odd = fc.oneof(
      fc.string(),
      fc.constantFrom('sinks:', '\n', '  ', 'a:', '{', '[', '*a', '&a', '${', '- ', '!!x', '"'),
    );
    fc.assert(fc.property(fc.array(odd), (parts) => void mistakesOf(parts.join(''))));
    const value = fc.string({ minLength: 1, unit: 'binary' }).map((text) => `s3cret${text}s3cret`);
    fc.assert(
      fc.property(value, (secret) => {
        expect(
          mistakesOf(sink(`, headers: { X: ${JSON.stringify(secret)}, "b d": ${JSON.stringify(secret)} }`)).join(),
        ).not.toContain('s3cret');
        expect(mistakesOf(`podIP: ${secret}\nsinks: ${secret}\n`).join()).not.toContain('s3cret');
      }),
    );
  });
});

describe('files', () => {
  test('no file at the default path is all defaults', () => {
    expect(loadConfig(undefined, {})).toMatchObject({ ok: true, config: { sinks: [], metrics: { flows: true } } });
  });

  test('a file that was asked for and cannot be read is a mistake', () => {
    const missing = join(folder, 'missing.yaml');
    const mistake = (path: string, why: string) => ({
      ok: false,
      mistakes: [`${path}: cannot read the configuration: ${why}`],
    });
    expect(loadConfig(missing, {})).toEqual(mistake(missing, 'no such file'));
    expect(loadConfig(folder, {})).toEqual(mistake(folder, 'it is a directory'));
  });

  test('a file that is far too long is not read', () => {
    const path = join(folder, 'long.yaml');
    writeFileSync(path, '');
    truncateSync(path, 1024 * 1024 + 1);
    expect(loadConfig(path, {})).toEqual({ ok: false, mistakes: [`${path}: is longer than 1048576 bytes`] });
  });

  test('a file is read, with paths relative to its folder', () => {
    const path = join(folder, 'c.yaml');
    writeFileSync(path, 'inventory: hosts/inventory.yaml\n');
    expect(loadConfig(path, {})).toMatchObject({
      ok: true,
      config: { inventory: join(folder, 'hosts/inventory.yaml') },
    });
  });
});
