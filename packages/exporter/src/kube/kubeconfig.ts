import { readFileSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import { dirname, resolve } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { parse } from 'yaml';
import { bearerToken, type ClientConfig } from './client-config.ts';
import { KubeFailure } from './failure.ts';
import { asList, asMap, asText } from './json.ts';

/**
 * Reads kubeconfig files with the client library: server, authority, token, client certificate, proxy, or the command that makes a token.
 * @throws KubeFailure where no cluster is named; Error of the file system or the YAML parser
 */
export function loadKubeconfig(files: readonly string[]): ClientConfig {
  const config = new KubeConfig();
  for (const [at, file] of files.entries()) {
    const one = at === 0 ? config : new KubeConfig();
    one.loadFromFile(file);
    if (at > 0) config.mergeConfig(one, true);
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new KubeFailure('config', `${files.join(':')} names no cluster: set current-context`);
  const tokenFile = tokenFileOf(files, config.getCurrentUser()?.name);
  return { server: cluster.server, requestOptions: () => requestOptions(config, tokenFile) };
}

async function requestOptions(config: KubeConfig, tokenFile: string | undefined): Promise<RequestOptions> {
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const headers = { ...options.headers };
  if (tokenFile !== undefined) Object.assign(headers, { Authorization: bearerToken(tokenFile) });
  return { ...options, headers };
}

/** `tokenFile` of a user, which the client library does not read (2.0.1). As in kubectl it goes before `token`. */
function tokenFileOf(files: readonly string[], user: string | undefined): string | undefined {
  for (const file of files) {
    const users = asList(asMap(parse(readFileSync(file, 'utf8'))).users).map(asMap);
    const tokenFile = asText(asMap(users.find(({ name }) => name === user)?.user).tokenFile);
    if (tokenFile !== '') return resolve(dirname(file), tokenFile);
  }
  return undefined;
}
