import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { parseCollectorFlags } from '@egressd/collector/flags';
import { createLog } from '@egressd/daemon/log';
import { type CertificatesFlags, parseCertificatesFlags } from '@egressd/exporter/certificates/flags';
import { renewSecrets } from '@egressd/exporter/certificates/renew-secrets';
import { Secrets } from '@egressd/exporter/certificates/secrets';
import { parseExporterFlags } from '@egressd/exporter/flags';
import { KubeApi } from '@egressd/exporter/kube/api';
import type { Rule } from '@egressd/world/api-server/access';
import { type ApiServer, startApiServer } from '@egressd/world/api-server/api-server';
import { CertificateFolder } from '@egressd/world/certificates';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { container, find, type KubeObject, podSpec, render } from './helm.ts';
import { podsOf } from './references.ts';

const NAMESPACE = 'egressd';
const folder = new CertificateFolder();
let objects: KubeObject[];
let flags: CertificatesFlags;
/** Rules of the Job at an installation, and of the one that runs daily. */
let install: readonly Rule[];
let daily: readonly Rule[];
let server: ApiServer;

beforeAll(async () => {
  objects = await render();
  const parsed = parseCertificatesFlags(container(find(objects, 'Job')).args ?? [], {});
  if (parsed.kind !== 'values') throw new Error(JSON.stringify(parsed));
  flags = parsed.values;
  install = find(objects, 'Role', '-hook').rules as readonly Rule[];
  daily = find(objects, 'Role', '-certificates').rules as readonly Rule[];
});
beforeEach(async () => {
  server = await startApiServer({ rules: install });
  server.writeKubeconfig(join(folder.folder, 'kubeconfig'));
});
afterEach(() => server.close());
afterAll(() => folder[Symbol.dispose]());

const names = () => ({
  authority: flags.caSecret!,
  exporter: flags.exporterSecret!,
  collector: flags.collectorSecret!,
});

/** A run with the chart's arguments, so many days from now, with these rules and no others. */
function run(rules: readonly Rule[], days = 0): Promise<void> {
  server.access.rules = rules;
  const { signal } = new AbortController();
  const access = { kind: 'kubeconfig', files: [join(folder.folder, 'kubeconfig')] } as const;
  return renewSecrets({
    secrets: new Secrets(new KubeApi(access, 'test'), flags.namespace!, signal),
    names: names(),
    policy: {
      dnsNames: flags.dnsNames,
      validityMs: flags.validity,
      renewBeforeMs: flags.renewBefore,
      authorityValidityMs: flags.caValidity,
    },
    now: () => Date.now() + days * 86_400_000,
    log: createLog('error', () => {}),
    signal,
  });
}

const certificate = (name: string) => {
  const { data } = server.secret(NAMESPACE, name)! as unknown as { data: Record<string, string> };
  return new X509Certificate(Buffer.from(data['tls.crt']!, 'base64'));
};

test('both Jobs get the same arguments', () => {
  const [job, cronJob] = [find(objects, 'Job'), find(objects, 'CronJob')].map((one) => podsOf(one as KubeObject)!);
  expect(cronJob!.containers[0]!.args).toEqual(job!.containers[0]!.args);
  expect(flags.namespace).toBe(NAMESPACE);
});

test('both daemons mount what is made, under the names that their flags say', () => {
  const collector = find(objects, 'DaemonSet');
  const exporter = find(objects, 'Deployment');
  for (const [workload, secret] of [
    [collector, names().collector],
    [exporter, names().exporter],
  ] as const) {
    const volume = podSpec(workload).volumes?.find((one) => one.secret?.secretName === secret);
    const mount = container(workload).volumeMounts?.find(({ name }) => name === volume?.name);
    // What is mounted as a single file is never renewed.
    expect(mount).toEqual({ name: volume!.name, mountPath: expect.any(String), readOnly: true });
    const parse = workload === collector ? parseCollectorFlags : parseExporterFlags;
    const path = mount!.mountPath;
    expect(parse(container(workload).args ?? [], {})).toMatchObject({
      values: { tlsCertFile: `${path}/tls.crt`, tlsKeyFile: `${path}/tls.key`, tlsCaFile: `${path}/ca.crt` },
    });
  }
});

test('the rights of an installation make the Secrets, those that stay renew them', async () => {
  await run(install);
  const address = parseCollectorFlags(container(find(objects, 'DaemonSet')).args ?? [], {});
  const host = address.kind === 'values' ? address.values.exporterAddress.replace(/:\d+$/, '') : '';
  const first = certificate(names().exporter);
  expect(first.checkHost(host)).toBe(host);
  await run(daily, 61);
  expect(certificate(names().exporter).fingerprint256).not.toBe(first.fingerprint256);
  const authority = certificate(names().authority);
  await run(daily, 122);
  await run(daily, 183);
  await run(daily, 246);
  expect(certificate(names().authority).fingerprint256).not.toBe(authority.fingerprint256);
});

test('the rights that stay make no Secret', async () =>
  expect(run(daily)).rejects.toThrow('resources: ["secrets"], verbs: ["create"]'));

test('each right is needed', async () => {
  const without = (verb: string) =>
    install
      .map((rule) => ({ ...rule, verbs: rule.verbs.filter((one) => one !== verb) }))
      .filter(({ verbs }) => verbs.length > 0);
  expect(install.flatMap(({ verbs }) => verbs)).toEqual(['get', 'update', 'create']);
  await expect(run(without('get'))).rejects.toThrow('verbs: ["get"]');
  await expect(run(without('create'))).rejects.toThrow('verbs: ["create"]');
  await run(install);
  await expect(run(without('update'), 61)).rejects.toThrow('verbs: ["update"]');
  for (const name of Object.values(names())) {
    const fewer = daily.map((rule) => ({ ...rule, resourceNames: rule.resourceNames!.filter((one) => one !== name) }));
    await expect(run(fewer)).rejects.toThrow(`resourceNames: ["${name}"], verbs: ["get"]`);
  }
});
