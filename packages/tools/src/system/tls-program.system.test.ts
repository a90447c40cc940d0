import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SILENT } from '@egressd/daemon/log';
import { clientTls, serverTls } from '@egressd/daemon/tls';
import type { Rule } from '@egressd/world/api-server/access';
import { type ApiServer, startApiServer } from '@egressd/world/api-server/api-server';
import { CertificateFolder } from '@egressd/world/certificates';
import { programCommand } from '@egressd/world/daemons/daemon-command';
import { MountedSecret } from '@egressd/world/mounted-secret';
import { until } from '@egressd/world/observe';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { CollectorEnd, ExporterEnd } from './stream-ends.ts';

const NAMES = ['egressd-ca', 'egressd-exporter-tls', 'egressd-collector-tls'] as const;
const [CA, EXPORTER, COLLECTOR] = NAMES;
const RENEW: Rule = { apiGroups: [''], resources: ['secrets'], resourceNames: NAMES, verbs: ['get', 'update'] };
const INSTALL: readonly Rule[] = [RENEW, { apiGroups: [''], resources: ['secrets'], verbs: ['create'] }];

const made = new CertificateFolder();
const folder = mkdtempSync(join(tmpdir(), 'egressd-program-'));
const kubeconfig = join(folder, 'kubeconfig');
let server: ApiServer;
beforeAll(async () => {
  const authority = made.authority('kubernetes');
  server = await startApiServer({ rules: INSTALL, tls: { own: made.certificate('api', authority), authority } });
  server.writeKubeconfig(kubeconfig);
});
afterAll(async () => {
  await server.close();
  made[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

interface Ran {
  readonly code: number | null;
  readonly log: string;
}

/** The program as the chart starts it. */
function run(...more: string[]): Promise<Ran> {
  const secrets = [`-ca-secret=${CA}`, `-exporter-secret=${EXPORTER}`, `-collector-secret=${COLLECTOR}`];
  const flags = ['-namespace=ns', ...secrets, '-dns-names=localhost,egressd-exporter.ns.svc', ...more];
  const [command, ...args] = [...programCommand('exporter', 'certificates'), `-kubeconfig=${kubeconfig}`, ...flags];
  const child = spawn(command!, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (text) => {
    log += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, log }));
  });
}

function contents(name: string): Record<string, string> {
  const { data } = server.secret('ns', name)! as unknown as { data: Record<string, string> };
  return Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64').toString()]));
}

const versions = () => NAMES.map((name) => server.secret('ns', name)?.metadata.resourceVersion);

test('wrong flags end it with 2, before any request', async () => {
  const { code, log } = await run('-renew-before=9000h');
  expect(code).toBe(2);
  expect(log).toContain('-renew-before: has to be shorter than -validity');
  expect(server.requests.length).toBe(0);
});

test('without rights it ends with 1, naming the rule', async () => {
  server.access.rules = [];
  const { code, log } = await run();
  server.access.rules = INSTALL;
  expect(code).toBe(1);
  expect(log).toMatch(
    /level=error msg="certificate renewal failed" reason=forbidden .*resourceNames: .*egressd-ca.*verbs: /,
  );
});

test('from the first installation to a renewed stream', async () => {
  const first = await run();
  expect(first.code).toBe(0);
  expect(first.log.match(/msg="Secret written"/g)).toHaveLength(3);

  using exporterFiles = new MountedSecret(contents(EXPORTER));
  using collectorFiles = new MountedSecret(contents(COLLECTOR));
  const tls = serverTls(exporterFiles.flags, SILENT, new Registry());
  await using exporter = await ExporterEnd.start({ credentials: tls.credentials, certificates: tls.certificates });
  const address = `localhost:${exporter.port}`;
  const credentials = clientTls(collectorFiles.flags, address, SILENT, new Registry());
  const connect = (node: string) => new CollectorEnd(exporter.port, { address, credentials, node });
  await using early = connect('node-a');
  early.send();
  await until('the first batch', () => exporter.batches.length === 1);

  // From here on as it runs daily: with no right to make a Secret.
  server.access.rules = [RENEW];
  const before = versions();
  const idle = await run();
  expect(idle.code).toBe(0);
  expect(idle.log.match(/msg="Secret unchanged"/g)).toHaveLength(3);
  expect(versions()).toEqual(before);

  const due = await run('-renew-before=2159h59m59.9s');
  expect(due.code).toBe(0);
  expect(due.log.match(/msg="Secret written"/g)).toHaveLength(2);
  exporterFiles.update(contents(EXPORTER));
  collectorFiles.update(contents(COLLECTOR));
  tls.reload();
  await using late = connect('node-b');
  late.send();
  early.send();
  await until('a batch of each', () => exporter.batches.length === 3);

  // An authority that is too old for the certificates that it is to sign.
  const rollover = await run('-validity=8200h', '-ca-validity=20000h');
  expect(rollover.code).toBe(0);
  expect(rollover.log.match(/msg="Secret written"/g)).toHaveLength(3);
  expect(contents(COLLECTOR)['ca.crt']!.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  for (const log of [first.log, due.log, rollover.log]) expect(log).not.toContain('PRIVATE');
  tls.stop();
});

test('a Secret that was removed is named, with the rule that would make it anew', async () => {
  server.deleteSecret('ns', COLLECTOR);
  const { code, log } = await run();
  expect(code).toBe(1);
  expect(log).toMatch(/bind a Role in the namespace ns .*resources: \[.*secrets.*\], verbs: \[.*create/);
});
