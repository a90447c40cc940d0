import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLog } from '@egressd/daemon/log';
import { followKubernetes, type Kubernetes } from '@egressd/exporter/kube/kubernetes';
import { OwnerRegistry } from '@egressd/exporter/owners/registry';
import type { Rule } from '@egressd/world/api-server/access';
import { type ApiServer, startApiServer } from '@egressd/world/api-server/api-server';
import { CertificateFolder } from '@egressd/world/certificates';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { find, render } from './helm.ts';

/** Short enough to see what comes after a refusal. */
const TIMES = { watchIdleTimeoutMs: 10_000, idleTimeoutMs: 10_000, backoff: { minMs: 5, maxMs: 40 } };
const NODE = { name: 'n1', zone: 'z1', region: 'r', internalIps: ['192.168.0.1'] };
const EVENT = { node: 'n1', reason: 'AccountingOff', message: 'accounting is off' };

/** A right by itself: one verb on one resource of one group. */
interface Right {
  readonly group: string;
  readonly resource: string;
  readonly verb: string;
}

const certificates = new CertificateFolder();
const authority = certificates.authority('kubernetes-ca');
const tls = { own: certificates.certificate('apiserver', authority), authority };
let rights: Right[];
let server: ApiServer;
let kubernetes: Kubernetes;
let owners: OwnerRegistry;
let lines = '';

beforeAll(async () => {
  const { rules } = find(await render(), 'ClusterRole');
  rights = (rules ?? []).flatMap(({ apiGroups = [], resources = [], verbs }) =>
    apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => ({ group, resource, verb })))),
  );
});

afterEach(async () => {
  await kubernetes.close();
  await server.close();
});

afterAll(() => certificates[Symbol.dispose]());

/** The exporter's part, at an API server that enforces these rights and no others. */
async function follow(allowed: readonly Right[]): Promise<void> {
  const rules: Rule[] = allowed.map(({ group, resource, verb }) => ({
    apiGroups: [group],
    resources: [resource],
    verbs: [verb],
  }));
  server = await startApiServer({ tls, rules, nodes: [NODE] });
  server.put('servicecidrs', { metadata: { name: 'kubernetes' }, spec: { cidrs: ['203.0.113.0/24'] } });
  const kubeconfig = join(certificates.folder, 'kubeconfig');
  server.writeKubeconfig(kubeconfig);
  owners = new OwnerRegistry(['kubernetes']);
  lines = '';
  const log = createLog('debug', (line) => {
    lines += line;
  });
  kubernetes = followKubernetes({
    access: { kind: 'kubeconfig', files: [kubeconfig] },
    owners: owners.source('kubernetes'),
    registry: new Registry(),
    log,
    ...TIMES,
  });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

test('the rights of the chart are six, and the exporter needs no other', async () => {
  expect(rights.map(({ verb, resource }) => `${verb} ${resource}`)).toEqual([
    'list pods',
    'watch pods',
    'list nodes',
    'watch nodes',
    'create events',
    'list servicecidrs',
  ]);
  await follow(rights);
  await until(() => owners.synced && lines.includes('ServiceCIDRs read'));
  await until(() => server.requests.filter(({ query }) => query.has('watch')).length >= 2);
  kubernetes.record(EVENT);
  await until(() => server.events.length === 1);
  expect(lines).not.toMatch(/rule is missing|not allowed|forbidden|level=(warn|error)/);
});

test.each([0, 1, 2, 3, 4, 5])('one less, and the log names it: right %d', async (at) => {
  const { group, resource, verb } = rights[at]!;
  await follow(rights.filter((_, i) => i !== at));
  const rule = `apiGroups: [\\"${group}\\"], resources: [\\"${resource}\\"], verbs: [\\"${verb}\\"]`;
  if (resource === 'events') {
    await until(() => owners.synced);
    kubernetes.record(EVENT);
  }
  await until(() => lines.includes(rule));
  // Without the lists there is nothing; the others cost what they are for.
  const needed = verb === 'list' && resource !== 'servicecidrs';
  if (needed) expect(owners.synced).toBe(false);
  else await until(() => owners.synced);
});
