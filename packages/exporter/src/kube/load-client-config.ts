import { accessName, type KubeAccess } from './access.ts';
import type { ClientConfig } from './client-config.ts';
import { KubeFailure } from './failure.ts';
import { loadServiceAccount } from './service-account.ts';

/**
 * Reads the files of an access. The client library of Kubernetes is loaded for a kubeconfig only: it takes some 60 MiB, and a pod's
 * service account is two files.
 * @throws KubeFailure `config`
 */
export async function loadClientConfig(access: KubeAccess): Promise<ClientConfig> {
  try {
    if (access.kind === 'in_cluster') return loadServiceAccount(access.server, access.folder);
    const { loadKubeconfig } = await import('./kubeconfig.ts');
    return loadKubeconfig(access.files);
  } catch (error) {
    if (error instanceof KubeFailure) throw error;
    // A YAML parser quotes the lines around a mistake, and these may hold a token.
    const { code, message } = error as NodeJS.ErrnoException;
    throw new KubeFailure('config', `${accessName(access)} cannot be used: ${code ?? message.split('\n', 1)[0]}`);
  }
}
