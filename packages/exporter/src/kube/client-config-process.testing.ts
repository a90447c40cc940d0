/**
 * Loads the client config of an access as the exporter does, and prints the headers of a request, and how many modules of npm packages
 * were loaded for it.
 *     client-config-process ACCESS_JSON
 */
import { registerHooks } from 'node:module';
import type { KubeAccess } from './access.ts';
import { loadClientConfig } from './load-client-config.ts';

let modules = 0;
registerHooks({
  load(url, context, next) {
    if (url.includes('/node_modules/')) modules++;
    return next(url, context);
  },
});
const config = await loadClientConfig(JSON.parse(process.argv[2] ?? '') as KubeAccess);
const { headers } = await config.requestOptions();
process.stdout.write(JSON.stringify({ modules, headers }));
