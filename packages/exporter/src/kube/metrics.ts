import { Counter, Gauge, type Registry } from 'prom-client';
import { FAILURES, type FailureReason } from './failure.ts';
import { PROBLEMS, type Problem } from './records.ts';

/** What is counted about the API server. */
export interface KubeMetrics {
  failed(resource: string, reason: FailureReason): void;
  listed(resource: string): void;
  changed(resource: string, type: string): void;
  heard(resource: string, nowMs: number): void;
  problem(problem: Problem): void;
  /** So many nodes have no collector. */
  without(nodes: number): void;
}

/** Creates them, for these resources. */
export function createKubeMetrics(registry: Registry, resources: readonly string[]): KubeMetrics {
  const counter = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Counter<L>({ name, help, labelNames, registers: [registry] });
  const failures = counter(
    'egressd_exporter_kubernetes_request_failures_total',
    'Requests to the API server that failed, by reason: each is tried again, what is known stays. gone is part of its daily work; forbidden: a rule is missing, the log says which; unauthorized, config: see the token or the kubeconfig; unreachable, silent, tls: see the network and the certificate.',
    'resource',
    'reason',
  );
  const lists = counter('egressd_exporter_kubernetes_lists_total', 'Whole lists that were read.', 'resource');
  const changes = counter(
    'egressd_exporter_kubernetes_watch_events_total',
    'Changes that watches told of.',
    'resource',
    'type',
  );
  const problems = counter(
    'egressd_exporter_kubernetes_invalid_objects_total',
    'Times that an object was told of with something amiss: malformed, malformed_address (left out), no_address, no_zone (zone and cross_zone are empty: label the node), duplicate_address (the pod that came last has it).',
    'problem',
  );
  const heard = new Gauge({
    name: 'egressd_exporter_kubernetes_last_response_timestamp_seconds',
    help: 'When the API server last told something of a resource, Unix time. It does so every minute; much older: new pods are not known yet, see egressd_exporter_kubernetes_request_failures_total.',
    labelNames: ['resource'],
    registers: [registry],
  });
  const without = new Gauge({
    name: 'egressd_exporter_nodes_without_collector',
    help: 'Nodes in Kubernetes from which no collector has streamed for five minutes: their traffic is not counted. The log names one; see their collector pods.',
    registers: [registry],
  });
  for (const resource of resources) {
    lists.inc({ resource }, 0);
    for (const reason of FAILURES) failures.inc({ resource, reason }, 0);
  }
  for (const problem of PROBLEMS) problems.inc({ problem }, 0);
  return {
    failed: (resource, reason) => failures.inc({ resource, reason }),
    listed: (resource) => lists.inc({ resource }),
    changed: (resource, type) => changes.inc({ resource, type }),
    heard: (resource, nowMs) => heard.set({ resource }, nowMs / 1000),
    problem: (problem) => problems.inc({ problem }),
    without: (nodes) => without.set(nodes),
  };
}
