import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { join } from 'node:path';
import { bearerToken, type ClientConfig } from './client-config.ts';

/**
 * The service account of the pod that this runs in. The kubelet replaces its token well before it expires: who reads it anew within a
 * minute, and after a 401, always has one that is valid.
 * @throws Error of the file system
 */
export function loadServiceAccount(server: string, folder: string): ClientConfig {
  const agent = new Agent({ ca: readFileSync(join(folder, 'ca.crt')) });
  const authorization = bearerToken(join(folder, 'token'));
  return { server, requestOptions: async () => ({ agent, headers: { Authorization: authorization } }) };
}
