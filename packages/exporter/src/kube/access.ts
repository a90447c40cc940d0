import { existsSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { delimiter, join } from 'node:path';
import type { Environment } from '@egressd/daemon/flags';

const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';
/** Of the Service `kubernetes`, where KUBERNETES_SERVICE_PORT is not set. */
const DEFAULT_PORT = '443';

/** Where the API server and the credentials for it are found. */
export type KubeAccess =
  /** Files are merged; the first one's current-context counts. */
  | { readonly kind: 'kubeconfig'; readonly files: readonly string[] }
  /** The service account of the pod: `folder` has its token and ca.crt. */
  | { readonly kind: 'in_cluster'; readonly server: string; readonly folder: string };

/**
 * How Kubernetes is reached: by -kubeconfig, else by KUBECONFIG, else as a pod of the cluster; undefined: not at all.
 * @param root the service account's files lie under it; empty outside tests
 */
export function findAccess(
  kubeconfig: string | undefined,
  environment: Environment,
  root = '',
): KubeAccess | undefined {
  if (kubeconfig !== undefined) return { kind: 'kubeconfig', files: [kubeconfig] };
  const files = (environment.KUBECONFIG ?? '').split(delimiter).filter((file) => file !== '');
  if (files.length > 0) return { kind: 'kubeconfig', files };
  const folder = join(root, SERVICE_ACCOUNT_FOLDER);
  const host = environment.KUBERNETES_SERVICE_HOST ?? '';
  if (host === '' || !existsSync(join(folder, 'token'))) return undefined;
  const port = environment.KUBERNETES_SERVICE_PORT || DEFAULT_PORT;
  return { kind: 'in_cluster', server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`, folder };
}

/** An access as the log names it. */
export function accessName(access: KubeAccess): string {
  return access.kind === 'in_cluster' ? 'in-cluster' : access.files.join(delimiter);
}
