import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { type KubeObject, ROOT } from './helm.ts';
import { schemaMistakes, typeMistakes } from './objects-check.ts';

const SCRIPT = join(ROOT, 'deploy/demo.sh');
const PATH = `${join(ROOT, '.lab/kubernetes')}:/usr/bin:/bin`;

function run(args: readonly string[], path = PATH): { status: number | null; stdout: string; stderr: string } {
  const env = { PATH: path, HOME: '/nonexistent', KUBECONFIG: '/dev/null' };
  return spawnSync('bash', [SCRIPT, ...args], { encoding: 'utf8', env });
}

describe('what it would apply', () => {
  const { status, stdout, stderr } = run(['--print', '--from', 'registry.example']);
  const objects = parseAllDocuments(stdout)
    .map((document) => document.toJS() as KubeObject | null)
    .filter((object) => object !== null);

  test('is printed', () => {
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const kinds = new Set(objects.map(({ kind }) => kind));
    for (const kind of ['Namespace', 'DaemonSet', 'Deployment', 'Service', 'ConfigMap']) expect(kinds).toContain(kind);
  });

  test('is what the schemas say', async () => {
    expect((await Promise.all(objects.map(schemaMistakes))).flat()).toEqual([]);
    expect(typeMistakes(objects)).toBe('');
  });

  test('takes the images from the given registry, and sends to the database of the demo', () => {
    expect(stdout).toContain('image: "registry.example/egressd-collector:demo"');
    expect(stdout).toContain('image: "registry.example/egressd-exporter:demo"');
    const database = objects.find(({ kind, metadata }) => kind === 'Service' && metadata.name === 'victoria-metrics');
    expect(database).toBeDefined();
    expect(stdout).toContain('http://victoria-metrics:8428/api/v1/write');
  });

  test('gives Grafana the dashboard of the chart', () => {
    const map = objects.find(({ metadata }) => metadata.name === 'egressd-dashboards') as KubeObject & {
      data: Record<string, string>;
    };
    expect(JSON.parse(map.data['egressd-overview.json']!)).toMatchObject({ title: 'egressd: overview' });
  });
});

test.each<[string, readonly string[], string]>([
  ['nothing', [], 'deploy/demo.sh --load kind'],
  ['an option without its value', ['--load'], '--load needs a value'],
  ['an option that there is not', ['--lod', 'kind'], 'deploy/demo.sh --load kind'],
  ['two ways at once', ['--load', 'kind', '--push', 'registry.example'], 'exclude each other'],
])('%s: it shows its usage', (_, args, said) => {
  const { status, stderr } = run(args);
  expect(status).toBe(2);
  expect(stderr).toContain(said);
});

test('says what is missing', () => {
  const { status, stderr } = run(['--down'], '/usr/bin:/bin');
  expect(status).toBe(1);
  expect(stderr).toMatch(/(kubectl|helm) is missing/);
});

test('shellcheck has nothing to say', () => {
  execFileSync('shellcheck', [SCRIPT], { stdio: ['ignore', 'inherit', 'inherit'] });
});
