import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NODE } from '@egressd/world/daemons/daemon-command';
import { runCommand } from '@egressd/world/network/commands';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { KubeAccess } from './access.ts';

const PROCESS = fileURLToPath(new URL('./client-config-process.testing.ts', import.meta.url));
const KUBECONFIG = {
  'current-context': 'here',
  contexts: [{ name: 'here', context: { cluster: 'one', user: 'me' } }],
  clusters: [{ name: 'one', cluster: { server: 'https://192.0.2.1' } }],
  users: [{ name: 'me', user: { token: 'a-token' } }],
};

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'egressd-client-'));
  await writeFile(join(folder, 'kubeconfig'), JSON.stringify(KUBECONFIG));
  await writeFile(join(folder, 'ca.crt'), '');
  await writeFile(join(folder, 'token'), 'a-token');
});

afterAll(() => rm(folder, { recursive: true }));

async function load(access: KubeAccess): Promise<{ modules: number; headers: unknown }> {
  const [command = '', ...flags] = NODE;
  const output = await runCommand(command, [...flags, PROCESS, JSON.stringify(access)]);
  return JSON.parse(output) as { modules: number; headers: unknown };
}

test('in a cluster no module of the client library is loaded, which takes some 60 MiB', async () => {
  const inCluster = await load({ kind: 'in_cluster', server: 'https://10.96.0.1:443', folder });
  const kubeconfig = await load({ kind: 'kubeconfig', files: [join(folder, 'kubeconfig')] });
  expect(inCluster).toEqual({ modules: 0, headers: { Authorization: 'Bearer a-token' } });
  expect(kubeconfig.headers).toEqual(inCluster.headers);
  expect(kubeconfig.modules).toBeGreaterThan(500);
});
