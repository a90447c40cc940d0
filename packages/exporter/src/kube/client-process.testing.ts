/**
 * Loads the client library of Kubernetes as the exporter does, and prints who it says we are, and how many modules of its typed API were
 * loaded for that.
 *     kubernetes-client-process KUBECONFIG lean|whole
 */
import { registerHooks } from 'node:module';
import { loadConfig } from './access.ts';
import { leaveOutTypedApi } from './lean-client.ts';

const [file = '', kind] = process.argv.slice(2);
let modules = 0;
registerHooks({
  load(url, context, next) {
    if (url.includes('/client-node/dist/gen/')) modules++;
    return next(url, context);
  },
});
if (kind === 'lean') leaveOutTypedApi();
const options = { headers: {} };
const config = await loadConfig({ kind: 'kubeconfig', files: [file] });
await config.applyToHTTPSOptions(options);
process.stdout.write(JSON.stringify({ modules, headers: options.headers }));
