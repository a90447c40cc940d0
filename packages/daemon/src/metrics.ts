import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { registerEventLoopMetrics } from './event-loop.ts';
import { COMMIT, VERSION } from './version.ts';

/**
 * Default metrics of prom-client that are not served: `nodejs_eventloop_lag_*` has the interval of its own timer in it (see
 * `event-loop.ts`), and gauges must not be named like counters (OpenMetrics; each is the sum of one that is served).
 */
const OMITTED = /^nodejs_eventloop_lag_|^nodejs_active_\w+_total$/;
/** Of the timer of `nodejs_eventloop_lag_*`, which prom-client always starts: so long that it never wakes the process. */
const NEVER_MS = 2 ** 31 - 1;

/**
 * The registry of a daemon, with what it is (`egressd_build_info`) and what it uses: prom-client's `process_*` and `nodejs_*`,
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
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: NEVER_MS });
  for (const { name } of registry.getMetricsAsArray()) if (OMITTED.test(name)) registry.removeSingleMetric(name);
  registerEventLoopMetrics(registry);
  return registry;
}
