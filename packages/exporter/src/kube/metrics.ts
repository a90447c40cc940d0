import { Counter, Gauge, type Registry } from 'prom-client';
import { FAILURE_REASONS, type FailureReason } from './failure.ts';
import { PROBLEMS, type Problem } from './problems.ts';

/** Metrics of what is read from Kubernetes. */
export interface KubeMetrics {
  countFailed(resource: string, reason: FailureReason): void;
  countListed(resource: string): void;
  countChanged(resource: string, type: string): void;
  setReceived(resource: string, nowMs: number): void;
  countProblem(problem: Problem): void;
  setNodesWithoutCollector(nodes: number): void;
}

/** Registers them, for these resources. */
export function createKubeMetrics(registry: Registry, resources: readonly string[]): KubeMetrics {
  const counter = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Counter<L>({ name, help, labelNames, registers: [registry] });
  const failures = counter(
    'egressd_exporter_kubernetes_request_failures_total',
    'Failed requests to the API server, by reason; they are retried, and what is known stays. gone (410): part of normal operation; forbidden (403): an RBAC rule is missing, the log has it; unauthorized (401), config: see the token or the kubeconfig; unreachable, timeout, tls: see the network and the certificate.',
    'resource',
    'reason',
  );
  const lists = counter('egressd_exporter_kubernetes_lists_total', 'Complete lists, by resource.', 'resource');
  const events = counter(
    'egressd_exporter_kubernetes_watch_events_total',
    'Watch events without bookmarks, by resource and type (ADDED, MODIFIED, DELETED).',
    'resource',
    'type',
  );
  const problems = counter(
    'egressd_exporter_kubernetes_invalid_objects_total',
    'Pods and nodes received with a problem, by problem. malformed: no name or UID, skipped; malformed_address: an address is skipped; no_address: traffic of it has no owner; no_zone: the node has no label topology.kubernetes.io/zone, so zone and cross_zone are empty; duplicate_address: two pods have one, the later pod owns it, or in what other nodes report neither, where both run on nodes of their own; too_large: more JSON than is read of one object, skipped: its traffic has no owner.',
    'problem',
  );
  const received = new Gauge({
    name: 'egressd_exporter_kubernetes_last_response_timestamp_seconds',
    help: 'When the API server last sent a list or a watch event of a resource, Unix time. A bookmark comes every minute; much older: new pods are not known, see egressd_exporter_kubernetes_request_failures_total.',
    labelNames: ['resource'],
    registers: [registry],
  });
  const missing = new Gauge({
    name: 'egressd_exporter_nodes_without_collector',
    help: 'Nodes in Kubernetes from which no collector has streamed for five minutes: their traffic is not counted. The log names one; see their collector pods.',
    registers: [registry],
  });
  for (const resource of resources) {
    lists.inc({ resource }, 0);
    for (const reason of FAILURE_REASONS) failures.inc({ resource, reason }, 0);
  }
  for (const problem of PROBLEMS) problems.inc({ problem }, 0);
  return {
    countFailed: (resource, reason) => failures.inc({ resource, reason }),
    countListed: (resource) => lists.inc({ resource }),
    countChanged: (resource, type) => events.inc({ resource, type }),
    setReceived: (resource, nowMs) => received.set({ resource }, nowMs / 1000),
    countProblem: (problem) => problems.inc({ problem }),
    setNodesWithoutCollector: (nodes) => missing.set(nodes),
  };
}
