import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NODE } from '@egressd/world/daemons/daemon-command';
import { runCommand } from '@egressd/world/network/commands';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

const PROCESS = fileURLToPath(new URL('./client-process.testing.ts', import.meta.url));
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
});

afterAll(() => rm(folder, { recursive: true }));

async function load(kind: 'lean' | 'whole'): Promise<{ modules: number; headers: unknown }> {
  const [command = '', ...flags] = NODE;
  const answer = await runCommand(command, [...flags, PROCESS, join(folder, 'kubeconfig'), kind]);
  return JSON.parse(answer) as { modules: number; headers: unknown };
}

test('the client library says who we are without its typed API, which is most of it', async () => {
  const [lean, whole] = [await load('lean'), await load('whole')];
  expect(lean.headers).toEqual({ Authorization: 'Bearer a-token' });
  expect(whole.headers).toEqual(lean.headers);
  expect(lean.modules).toBeLessThan(10);
  expect(whole.modules).toBeGreaterThan(500);
});
