import { existsSync } from 'node:fs';
import { delimiter } from 'node:path';
import type { Environment } from '@egressd/daemon/flags';
import type { KubeConfig } from '@kubernetes/client-node';
import { KubeFailure } from './failure.ts';

const TOKEN_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/** How the API server is found, and who one is there. */
export type KubeAccess =
  /** Files are merged, the first one's context counts. */
  | { readonly kind: 'kubeconfig'; readonly files: readonly string[] }
  /** The service account of the pod. @param root what its files lie under; empty outside tests */
  | { readonly kind: 'in_cluster'; readonly root: string };

/** Where Kubernetes is the source of pods and nodes: the flag, then `KUBECONFIG`, then the cluster that we run in; undefined: nowhere. */
export function findAccess(
  kubeconfig: string | undefined,
  environment: Environment,
  root = '',
): KubeAccess | undefined {
  if (kubeconfig !== undefined) return { kind: 'kubeconfig', files: [kubeconfig] };
  const files = (environment.KUBECONFIG ?? '').split(delimiter).filter((file) => file !== '');
  if (files.length > 0) return { kind: 'kubeconfig', files };
  const inCluster = (environment.KUBERNETES_SERVICE_HOST ?? '') !== '' && existsSync(`${root}${TOKEN_FILE}`);
  return inCluster ? { kind: 'in_cluster', root } : undefined;
}

/** What an access is called in the log. */
export function nameOf(access: KubeAccess): string {
  return access.kind === 'in_cluster' ? 'in-cluster' : access.files.join(delimiter);
}

/**
 * Reads the files of an access: server, authority, token, client certificate or the command that makes one. The client library is
 * loaded here and not before: a file as inventory needs none of it.
 * @throws KubeFailure `config`
 */
export async function loadConfig(access: KubeAccess): Promise<KubeConfig> {
  const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js');
  const config = new KubeConfig();
  try {
    if (access.kind === 'in_cluster') {
      config.loadFromCluster(access.root);
    } else {
      const [first = '', ...others] = access.files;
      config.loadFromFile(first);
      for (const file of others) {
        const more = new KubeConfig();
        more.loadFromFile(file);
        config.mergeConfig(more, true);
      }
    }
  } catch (error) {
    // The parser of YAML shows the lines around a mistake, and these may hold a token.
    const { code, message } = error as NodeJS.ErrnoException;
    throw new KubeFailure('config', `${nameOf(access)} cannot be used: ${code ?? firstLine(message)}`);
  }
  if (config.getCurrentCluster() === null)
    throw new KubeFailure('config', `${nameOf(access)} names no cluster: set current-context`);
  return config;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]!;
}
