import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { IContainer } from 'kubernetes-models/v1/Container';
import type { Rule } from '../api-server/access.ts';
import { type ApiServer, startApiServer } from '../api-server/api-server.ts';
import { CertificateFolder } from '../certificates.ts';
import { programCommand } from '../daemon-command.ts';
import { container, find, type KubeObject, podSpec, render } from './helm.ts';

/** Trying again for minutes is for clusters. */
const PROGRAM_LIMIT_MS = 30_000;

const made = new CertificateFolder();
const folder = mkdtempSync(join(tmpdir(), 'egressd-chart-'));
const kubeconfig = join(folder, 'kubeconfig');
let objects: KubeObject[];
let server: ApiServer;

beforeAll(async () => {
  objects = await render();
  const authority = made.authority('kubernetes');
  server = await startApiServer({ tls: { own: made.certificate('api', authority), authority } });
  server.writeKubeconfig(kubeconfig);
});

beforeEach(() => {
  server.requests.length = 0;
});

afterAll(async () => {
  await server.close();
  made[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

/** Runs what a container runs, with the rights of a Role. */
function run({ command = [], args = [] }: IContainer, role: string): Promise<{ code: number; log: string }> {
  server.access.rules = find(objects, 'Role', role).rules as Rule[];
  expect(command[0]).toBe('node');
  const program = programCommand('exporter', basename(command[1]!, '.js'));
  return new Promise((resolve) => {
    const options = { timeout: PROGRAM_LIMIT_MS };
    const whole = [...program.slice(1), ...args, `-kubeconfig=${kubeconfig}`];
    execFile(program[0]!, whole, options, (error, _, log) =>
      resolve({ code: error === null ? 0 : Number(error.code), log }),
    );
  });
}

const hook = () => container(find(objects, 'Job'));
const renewal = () => find(objects, 'CronJob').spec!.jobTemplate.spec!.template.spec!.containers[0]!;
const secret = (name: string) => server.secret('egressd', name) as { data?: Record<string, string> } | undefined;

test('the Job and the CronJob run the same', () => {
  expect(renewal()).toEqual(hook());
});

test('who only renews cannot make Secrets, and says which rule that takes', async () => {
  const { code, log } = await run(renewal(), '-certificates');
  expect(code).toBe(1);
  expect(log).toContain('verbs: [\\"create\\"]');
});

test('the Job makes what the pods mount, for the name that collectors ask for', async () => {
  expect(await run(hook(), '-hook')).toMatchObject({ code: 0 });
  for (const kind of ['DaemonSet', 'Deployment'] as const) {
    const volume = podSpec(find(objects, kind)).volumes!.find(({ name }) => name === 'tls')!;
    const files = Object.keys(secret(volume.secret!.secretName!)!.data!);
    const flags = container(find(objects, kind)).args!.filter((arg) => arg.startsWith('-tls-'));
    expect(flags.map((flag) => basename(flag)).sort()).toEqual(files.sort());
  }
  const pem = Buffer.from(secret('egressd-exporter-tls')!.data!['tls.crt']!, 'base64');
  const address = container(find(objects, 'DaemonSet')).args!.find((arg) => arg.startsWith('-exporter-address='))!;
  const host = address.slice(address.indexOf('=') + 1, address.lastIndexOf(':'));
  expect(new X509Certificate(pem).checkHost(host)).toBe(host);
});

test('the CronJob has all that it needs then', async () => {
  const { code, log } = await run(renewal(), '-certificates');
  expect({ code, done: log.match(/nothing to do/g)?.length }).toEqual({ code: 0, done: 3 });
  expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'GET', 'GET']);
});
