import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { findAccess, type KubeAccess } from './access.ts';

const root = mkdtempSync(join(tmpdir(), 'egressd-access-'));
const folder = join(root, 'var/run/secrets/kubernetes.io/serviceaccount');
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'token'), 'token');
afterAll(() => rmSync(root, { recursive: true }));

const inCluster = (server: string): KubeAccess => ({ kind: 'in_cluster', server, folder });

test.each<[string | undefined, Record<string, string>, KubeAccess | undefined]>([
  [undefined, {}, undefined],
  ['/a', { KUBECONFIG: '/b' }, { kind: 'kubeconfig', files: ['/a'] }],
  [undefined, { KUBECONFIG: '/b:/c:' }, { kind: 'kubeconfig', files: ['/b', '/c'] }],
  [
    undefined,
    { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '6443' },
    inCluster('https://10.96.0.1:6443'),
  ],
  [
    undefined,
    { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' },
    inCluster('https://[fd00::1]:443'),
  ],
  [undefined, { KUBERNETES_SERVICE_HOST: '10.96.0.1' }, inCluster('https://10.96.0.1:443')],
  ['/a', { KUBERNETES_SERVICE_HOST: '10.96.0.1' }, { kind: 'kubeconfig', files: ['/a'] }],
])('-kubeconfig %s with %j', (flag, environment, expected) => {
  expect(findAccess(flag, environment, root)).toEqual(expected);
});

test('a pod without a service account token has no access', () => {
  expect(findAccess(undefined, { KUBERNETES_SERVICE_HOST: '10.96.0.1' }, '/nonexistent')).toBeUndefined();
});
