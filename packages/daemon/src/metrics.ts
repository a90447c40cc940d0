import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { COMMIT, VERSION } from './version.ts';

/** The event loop's lag is sampled this often, in milliseconds: a finer clock would wake an idle daemon for nothing. */
const LAG_SAMPLE_MS = 200;

/**
 * The registry of a daemon, with what it is (`egressd_build_info`) and what it costs: prom-client's `process_*` and `nodejs_*`,
 * under the names that dashboards know.
 */
export function createRegistry(): Registry {
  const registry = new Registry();
  const build = new Gauge({
    name: 'egressd_build_info',
    help: 'Always 1; the labels say which release runs, from which commit, on which Node.js.',
    labelNames: ['version', 'commit', 'node_version'],
    registers: [registry],
  });
  build.set({ version: VERSION, commit: COMMIT, node_version: process.version }, 1);
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_SAMPLE_MS });
  return registry;
}
