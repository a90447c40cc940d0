import type { Log } from '@egressd/daemon/log';
import { VERSION } from '@egressd/daemon/version';
import type { Registry } from 'prom-client';
import type { NodeClocks } from '../clock/node-clocks.ts';
import type { OwnerSource } from '../owners/owner-source.ts';
import { accessName, type KubeAccess } from './access.ts';
import { KubeApi } from './api.ts';
import { EventRecorder, type NodeEvent } from './events.ts';
import { asMap, asText } from './json.ts';
import { IDLE_TIMEOUT_MS, ListWatch, type ListWatchTimes } from './list-watch.ts';
import { createKubeMetrics } from './metrics.ts';
import { MissingCollectors } from './missing-collectors.ts';
import { NodeHandler } from './nodes.ts';
import { PodHandler } from './pods.ts';
import { KubeReporter } from './reporter.ts';
import { ServiceCidrs } from './service-cidrs.ts';

interface KubernetesOptions extends ListWatchTimes {
  readonly access: KubeAccess;
  /** Where pods and nodes go: synced with the first complete lists. */
  readonly owners: OwnerSource;
  readonly registry: Registry;
  readonly log: Log;
  /** Unix milliseconds; `Date.now` outside tests. */
  readonly now?: () => number;
  /** How far the clocks of nodes are ahead of ours. */
  readonly aheadOf?: NodeClocks['aheadOf'];
  readonly serviceCidrsIntervalMs?: number;
}

const COLLECTOR_MISSING =
  'No egressd collector streams from this node: the traffic of its pods is not counted. See the collector pod of the node and its log.';

/** Kubernetes as a source of pods and nodes. */
export interface Kubernetes {
  /**
   * Checks which nodes have no collector, and records an Event about each. To be called now and then.
   * @param streaming names of the nodes whose collectors stream
   */
  checkCollectors(streaming: ReadonlySet<string>): void;
  /** Records an Event about a node that Kubernetes has, where that is allowed; the same one once an hour. */
  record(event: NodeEvent): void;
  close(): Promise<void>;
}

/**
 * Follows the pods and nodes of a cluster into `owners`. Returns at once: until both lists are complete, the owners are not synced.
 * No failure of the API server ends it.
 */
export function followKubernetes(options: KubernetesOptions): Kubernetes {
  const { access, owners, registry, log, now = Date.now } = options;
  const stop = new AbortController();
  const reporter = new KubeReporter(log, createKubeMetrics(registry, ['nodes', 'pods']), now);
  const api = new KubeApi(access, `egressd-exporter/${VERSION}`);
  const nodes = new NodeHandler(reporter.problem);
  const pods = new PodHandler(reporter.problem, options.aheadOf);
  const common = { ...options, api, observer: reporter, now, signal: stop.signal };
  const watches = [
    new ListWatch({ ...common, resource: 'nodes', kind: 'Node', handler: nodes }),
    new ListWatch({ ...common, resource: 'pods', kind: 'Pod', handler: pods }),
  ];
  const services = new ServiceCidrs(common);
  log.info('reading pods and nodes from Kubernetes', { access: accessName(access) });
  const running = (async () => {
    for (const watch of watches) await watch.list();
    if (stop.signal.aborted) return;
    await services.read();
    if (stop.signal.aborted) return;
    const ranges = () => [...nodes.ranges, ...services.ranges];
    const state = { nodes: nodes.records, pods: pods.records, clusterRanges: ranges() };
    // Finished pods go first: their end is known better than from their absence.
    pods.attach(owners, now());
    owners.replace(state, now());
    const setRanges = () => owners.setClusterRanges(ranges());
    nodes.attach({ upsertNode: owners.upsertNode, endNode: owners.endNode, setClusterRanges: setRanges });
    const background = [services.follow(setRanges), logVersion(api, log, stop.signal)];
    await Promise.all([...watches.map((watch) => watch.watch()), ...background]);
  })();
  const events = new EventRecorder(api, log, now, stop.signal);
  const missing = new MissingCollectors();
  return {
    checkCollectors(streaming) {
      const without = missing.check(nodes.names, streaming, now());
      reporter.missingCollectors(without);
      for (const node of without) void events.record({ node, reason: 'CollectorMissing', message: COLLECTOR_MISSING });
    },
    record(event) {
      if (nodes.has(event.node)) void events.record(event);
    },
    async close() {
      stop.abort();
      await running;
    },
  };
}

/** Logs the release of the API server. */
async function logVersion(api: KubeApi, log: Log, signal: AbortSignal): Promise<void> {
  try {
    const attributes = { verb: 'get', resource: 'version' } as const;
    const answer = asMap(await api.json({ attributes, path: '/version', idleTimeoutMs: IDLE_TIMEOUT_MS, signal }));
    log.info('Kubernetes API server', { version: asText(answer.gitVersion) || 'unknown' });
  } catch {
    // Some clusters do not allow it, and nothing depends on it.
  }
}
