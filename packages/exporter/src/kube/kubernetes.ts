import { type Log, LogLimiter } from '@egressd/daemon/log';
import { sleep } from '@egressd/daemon/sleep';
import { VERSION } from '@egressd/daemon/version';
import type { Registry } from 'prom-client';
import type { OwnerSource } from '../owners/registry.ts';
import { type KubeAccess, nameOf } from './access.ts';
import { KubeApi } from './api.ts';
import { EventWriter, type NodeEvent } from './events.ts';
import { asMap, asText } from './json.ts';
import { ANSWER_MS, ListWatch, type ListWatchReport, type ListWatchTimes } from './list-watch.ts';
import { createKubeMetrics, type KubeMetrics } from './metrics.ts';
import { Absent } from './missing-collectors.ts';
import { NodeFollower } from './nodes.ts';
import { PodFollower } from './pods.ts';
import type { Problem } from './records.ts';
import { SERVICE_RANGES_AGAIN_MS, ServiceRanges } from './service-ranges.ts';

/** Failures of these kinds end only when somebody does something. */
const WANTS_SOMEBODY: ReadonlySet<string> = new Set(['config', 'tls', 'unauthorized', 'forbidden', 'unexpected']);

export interface KubernetesOptions extends ListWatchTimes {
  readonly access: KubeAccess;
  /** Where what is read goes: synced with its first whole state. */
  readonly owners: OwnerSource;
  readonly registry: Registry;
  readonly log: Log;
  /** Unix milliseconds; `Date.now` outside tests. */
  readonly now?: () => number;
  readonly serviceRangesAgainMs?: number;
}

const MISSING =
  'No egressd collector streams from this node: the traffic of its pods is not counted. See the collector pod of the node and its log.';

/** Kubernetes, followed. */
export interface Kubernetes {
  /**
   * Looks which nodes have no collector, and tells of each as a Kubernetes Event. To be called now and then.
   * @param speaking names of the nodes whose collectors stream
   */
  checkCollectors(speaking: ReadonlySet<string>): void;
  /** Writes a Kubernetes Event about a node that Kubernetes knows, where that is allowed; the same one once an hour. */
  tell(event: NodeEvent): void;
  close(): Promise<void>;
}

/**
 * Follows the pods and nodes of a cluster into `owners`. Returns at once: until both were listed whole, the owners are not synced.
 * Nothing that the API server does ends it.
 */
export function followKubernetes(options: KubernetesOptions): Kubernetes {
  const { access, owners, registry, log, now = Date.now } = options;
  const stop = new AbortController();
  const report = new Report(log, createKubeMetrics(registry, ['nodes', 'pods']), now);
  const api = new KubeApi(access, `egressd-exporter/${VERSION}`, now);
  const nodes = new NodeFollower(report.problem);
  const pods = new PodFollower(report.problem);
  const common = { ...options, api, report, now, signal: stop.signal };
  const watches = [
    new ListWatch({ ...common, resource: 'nodes', kind: 'Node', follower: nodes }),
    new ListWatch({ ...common, resource: 'pods', kind: 'Pod', follower: pods }),
  ];
  const services = new ServiceRanges({ ...common, log });
  const { serviceRangesAgainMs: again = SERVICE_RANGES_AGAIN_MS } = options;
  log.info('reading pods and nodes from Kubernetes', { access: nameOf(access) });
  const running = (async () => {
    for (const watch of watches) await watch.list();
    if (stop.signal.aborted) return;
    await services.read();
    if (stop.signal.aborted) return;
    const first = { nodes: nodes.first, pods: pods.first, clusterRanges: [...nodes.ranges, ...services.ranges] };
    // Pods that have finished go first: when they ended is better known than that they are missing.
    pods.tell(owners, now());
    owners.replace(first, now());
    const tellRanges = () => owners.setClusterRanges([...nodes.ranges, ...services.ranges]);
    nodes.tell({ upsertNode: owners.upsertNode, endNode: owners.endNode, setClusterRanges: tellRanges });
    const readAgain = followServices(services, again, stop.signal, tellRanges);
    await Promise.all([...watches.map((watch) => watch.follow()), readAgain, sayVersion(api, log, stop.signal)]);
  })();
  const events = new EventWriter(api, log, now, stop.signal);
  const absent = new Absent();
  return {
    checkCollectors(speaking) {
      const nodesWithout = absent.check(nodes.names, speaking, now());
      report.without(nodesWithout);
      for (const node of nodesWithout) void events.write({ node, reason: 'CollectorMissing', message: MISSING });
    },
    tell(event) {
      if (nodes.has(event.node)) void events.write(event);
    },
    async close() {
      stop.abort();
      await running;
    },
  };
}

/** Reads the Service ranges now and then, and tells where they have changed. */
async function followServices(
  services: ServiceRanges,
  againMs: number,
  signal: AbortSignal,
  changed: () => void,
): Promise<void> {
  for (;;) {
    await sleep(againMs, signal);
    if (signal.aborted) return;
    if (await services.read()) changed();
  }
}

/** Which release the API server is, for whoever reads the log. */
async function sayVersion(api: KubeApi, log: Log, signal: AbortSignal): Promise<void> {
  try {
    const asked = { verb: 'get', resource: 'version' } as const;
    const answer = asMap(await api.json({ asked, path: '/version', silenceMs: ANSWER_MS, signal }));
    log.info('Kubernetes', { version: asText(answer.gitVersion) || 'not told' });
  } catch {
    // Some clusters hide it; pods and nodes are what counts.
  }
}

/** Says and counts what happens. Lines that repeat back off, each resource on its own. */
class Report implements ListWatchReport {
  readonly #log: Log;
  readonly #metrics: KubeMetrics;
  readonly #now: () => number;
  readonly #logLimiter: LogLimiter;

  constructor(log: Log, metrics: KubeMetrics, now: () => number) {
    this.#log = log;
    this.#metrics = metrics;
    this.#now = now;
    this.#logLimiter = new LogLimiter(now);
  }

  failed: ListWatchReport['failed'] = (resource, failure, backoffMs) => {
    this.#metrics.failed(resource, failure.reason);
    if (failure.reason === 'gone') {
      this.#log.debug('the API server keeps no version so old, listing anew', { resource });
      return;
    }
    this.#logLimiter.limit(`${resource} ${failure.reason}`, (suppressed) => {
      const fields = { resource, reason: failure.reason, again_in_ms: Math.round(backoffMs), suppressed };
      if (WANTS_SOMEBODY.has(failure.reason)) this.#log.error(`Kubernetes: ${failure.message}`, fields);
      else this.#log.warn(`Kubernetes: ${failure.message}`, fields);
    });
  };

  recovered: ListWatchReport['recovered'] = (resource) => {
    this.#logLimiter.limit(`recovered ${resource}`, () => this.#log.info('Kubernetes answers again', { resource }));
  };

  listed: ListWatchReport['listed'] = (resource, objects) => {
    this.#metrics.listed(resource);
    this.#metrics.heard(resource, this.#now());
    this.#logLimiter.limit(`listed ${resource}`, () => this.#log.info('listed', { resource, objects }));
  };

  changed: ListWatchReport['changed'] = (resource, type) => this.#metrics.changed(resource, type);

  heard: ListWatchReport['heard'] = (resource) => this.#metrics.heard(resource, this.#now());

  without(nodes: readonly string[]): void {
    this.#metrics.without(nodes.length);
    if (nodes.length === 0) return;
    this.#logLimiter.limit('without', () => {
      const fields = { nodes: nodes.length, first: nodes[0] };
      this.#log.warn('nodes without a collector: the traffic of their pods is not counted', fields);
    });
  }

  problem = (problem: Problem, object: string): void => {
    this.#metrics.problem(problem);
    this.#logLimiter.limit(problem, (suppressed) =>
      this.#log.info(PROBLEM_TEXT[problem], { object, problem, suppressed }),
    );
  };
}

const PROBLEM_TEXT: Readonly<Record<Problem, string>> = {
  malformed: 'Kubernetes tells of an object without name or UID: it is left out',
  malformed_address: 'an object in Kubernetes has an address that is none: it is left out',
  no_address: 'a running pod or a node has no address in Kubernetes: its traffic is unknown',
  no_zone: 'a node has no label topology.kubernetes.io/zone: the zone of its pods is unknown',
  duplicate_address: 'two pods have the same address in Kubernetes: the one that came last counts',
};
