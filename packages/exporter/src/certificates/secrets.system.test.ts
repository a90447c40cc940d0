import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Rule } from '@egressd/world/api-server/access';
import { type ApiServer, startApiServer } from '@egressd/world/api-server/api-server';
import type { ApiObject } from '@egressd/world/api-server/store';
import { KeptLog } from '@egressd/world/observe';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { KubeApi } from '../kube/api.ts';
import { type RenewSecretsOptions, renewSecrets } from './renew-secrets.ts';
import { Secrets } from './secrets.ts';

const NAMES = { authority: 'e-ca', exporter: 'e-exporter-tls', collector: 'e-collector-tls' };
const ALL = Object.values(NAMES);
const DAY_MS = 86_400_000;
/** What runs daily may do. */
const RENEW: Rule = { apiGroups: [''], resources: ['secrets'], resourceNames: ALL, verbs: ['get', 'update'] };
/** What an installation may do beside. */
const CREATE: Rule = { apiGroups: [''], resources: ['secrets'], verbs: ['create'] };

let server: ApiServer;
let folder: string;
let kept: KeptLog;
let nowMs: number;
beforeEach(async () => {
  server = await startApiServer({ rules: [RENEW, CREATE] });
  folder = mkdtempSync(join(tmpdir(), 'egressd-secrets-'));
  server.writeKubeconfig(join(folder, 'kubeconfig'));
  kept = new KeptLog();
  nowMs = Date.now();
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

/** One run of the program, from its own connection. */
function run(): Promise<void> {
  const { signal } = new AbortController();
  const api = new KubeApi({ kind: 'kubeconfig', files: [join(folder, 'kubeconfig')] }, 'test');
  const options: RenewSecretsOptions = {
    secrets: new Secrets(api, 'ns', signal),
    names: NAMES,
    policy: {
      dnsNames: ['e-exporter.ns.svc'],
      validityMs: 90 * DAY_MS,
      renewBeforeMs: 30 * DAY_MS,
      authorityValidityMs: 365 * DAY_MS,
    },
    now: () => nowMs,
    log: kept.log,
    signal,
    backoff: { minMs: 2, maxMs: 20 },
  };
  return renewSecrets(options);
}

const secret = (name: string) => server.secret('ns', name)!;
const text = (name: string, key: string) =>
  Buffer.from((secret(name).data as Record<string, string>)[key]!, 'base64').toString('utf8');
const versions = () => ALL.map((name) => server.secret('ns', name)?.metadata.resourceVersion);
const methods = () => server.requests.map(({ method }) => method);

describe('the Secrets', () => {
  test('are made where there are none, with what TLS files are called everywhere', async () => {
    await run();
    for (const name of ALL) {
      expect(secret(name)).toMatchObject({ kind: 'Secret', type: 'kubernetes.io/tls' });
      expect(Object.keys(secret(name).data as object).sort()).toEqual(['ca.crt', 'tls.crt', 'tls.key']);
      expect(text(name, 'ca.crt')).toBe(text(NAMES.authority, 'tls.crt'));
      expect(kept.says('msg="Secret written"', `secret=${name}`, 'cause=missing', 'expires=')).toBe(true);
    }
    expect(methods()).toEqual(['GET', 'GET', 'GET', 'POST', 'POST', 'POST']);
  });

  test('are only read where nothing is to be done', async () => {
    await run();
    const before = versions();
    server.requests.length = 0;
    await run();
    expect(methods()).toEqual(['GET', 'GET', 'GET']);
    expect(versions()).toEqual(before);
    expect(kept.says('Secret unchanged', `secret=${NAMES.exporter}`)).toBe(true);
  });

  test('are filled where they are there and empty, and keep whatever else they have', async () => {
    const metadata = { name: NAMES.exporter, namespace: 'ns', labels: { 'app.kubernetes.io/managed-by': 'Helm' } };
    server.put('secrets', { kind: 'Secret', apiVersion: 'v1', type: 'Opaque', metadata });
    await run();
    expect(secret(NAMES.exporter)).toMatchObject({ type: 'Opaque', metadata: { labels: metadata.labels } });
    const annotated = secret(NAMES.exporter);
    server.put('secrets', { ...annotated, data: { ...(annotated.data as object), more: 'aGVsbG8=' } } as ApiObject);
    nowMs += 61 * DAY_MS;
    await run();
    expect(text(NAMES.exporter, 'more')).toBe('hello');
    expect(kept.says(`secret=${NAMES.exporter}`, 'cause="expires on')).toBe(true);
  });

  test('are renewed with no right to make any', async () => {
    await run();
    server.access.rules = [RENEW];
    const before = versions();
    nowMs += 61 * DAY_MS;
    await run();
    const after = versions();
    expect(after[0]).toBe(before[0]);
    expect(after[1]).not.toBe(before[1]);
    expect(after[2]).not.toBe(before[2]);
  });

  test('that this program did not write are left alone', async () => {
    const data = { 'tls.crt': 'eA==', 'tls.key': 'eA==' };
    server.put('secrets', {
      kind: 'Secret',
      apiVersion: 'v1',
      metadata: { name: NAMES.collector, namespace: 'ns' },
      data,
    });
    await expect(run()).rejects.toThrow('the Secret ns/e-collector-tls was not written by this program');
    expect(secret(NAMES.collector).data).toEqual(data);
    expect(methods()).not.toContain('POST');
  });

  test('never appear in the log', async () => {
    await run();
    nowMs += 300 * DAY_MS;
    await run();
    const log = kept.lines.join('');
    expect(log).not.toContain('BEGIN');
    for (const name of ALL) {
      const key = text(name, 'tls.key').split('\n')[1]!;
      expect(log).not.toContain(key);
      expect(log).not.toContain(Buffer.from(key).toString('base64').slice(0, 20));
    }
  });
});

describe('a rule that is missing is named', () => {
  const without = (verb: string) => [{ ...RENEW, verbs: RENEW.verbs.filter((one) => one !== verb) }, CREATE];

  test('get', async () => {
    server.access.rules = without('get');
    await expect(run()).rejects.toThrow(
      'an RBAC rule is missing (403): bind a Role in the namespace ns with apiGroups: [""], resources: ["secrets"], resourceNames: ["e-ca"], verbs: ["get"]',
    );
  });

  test('create', async () => {
    server.access.rules = [RENEW];
    await expect(run()).rejects.toThrow(
      'an RBAC rule is missing (403): bind a Role in the namespace ns with apiGroups: [""], resources: ["secrets"], verbs: ["create"]',
    );
  });

  test('update', async () => {
    await run();
    server.access.rules = without('update');
    nowMs += 61 * DAY_MS;
    await expect(run()).rejects.toThrow('resourceNames: ["e-exporter-tls"], verbs: ["update"]');
  });

  test('one name less', async () => {
    server.access.rules = [{ ...RENEW, resourceNames: [NAMES.authority, NAMES.exporter] }, CREATE];
    await expect(run()).rejects.toThrow('resourceNames: ["e-collector-tls"], verbs: ["get"]');
  });
});

describe('others at the same time', () => {
  test('the slower process takes what the faster one wrote', async () => {
    await run();
    nowMs += 61 * DAY_MS;
    let others = 1;
    server.fault = ({ method }) => {
      if (method === 'PUT' && others-- > 0) {
        const { resourceVersion: _, ...metadata } = secret(NAMES.exporter).metadata;
        server.put('secrets', {
          ...secret(NAMES.exporter),
          metadata: { ...metadata, labels: { touched: 'yes' } },
        } as ApiObject);
      }
      return undefined;
    };
    await run();
    expect(kept.says('retrying', 'reason=conflict', 'Secret ns/e-exporter-tls')).toBe(true);
    expect(secret(NAMES.exporter).metadata.labels).toEqual({ touched: 'yes' });
    expect(kept.says('Secret written', `secret=${NAMES.exporter}`, 'expires on')).toBe(true);
  });

  test('four first installations make one authority, and what it signs', async () => {
    await Promise.all([run(), run(), run(), run()]);
    const authority = text(NAMES.authority, 'tls.crt');
    expect(ALL.map((name) => text(name, 'ca.crt'))).toEqual([authority, authority, authority]);
    const before = versions();
    await run();
    expect(versions()).toEqual(before);
  });

  test('an API server that is busy is asked again', async () => {
    let busy = 1;
    server.fault = () => (busy-- > 0 ? { kind: 'throttled', seconds: 0 } : undefined);
    await run();
    expect(kept.says('retrying', 'reason=throttled')).toBe(true);
    expect(versions()).not.toContain(undefined);
  });
});
