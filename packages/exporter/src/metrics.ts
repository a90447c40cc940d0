import { Counter, Gauge, type Registry } from 'prom-client';
import type { AddedFlows, Aggregate } from './aggregate/aggregate.ts';
import { FOLD_REASONS } from './aggregate/shares.ts';
import type { Enriched, TrafficSum } from './enrich/enriched.ts';
import { VERDICTS } from './enrich/verdict.ts';
import type { OwnerRegistry } from './owners/registry.ts';
import { OUTCOMES, type PendingBatches } from './pending/pending-batches.ts';

/** What the loop records of enrich, aggregate and owners. */
export interface ExporterMetrics {
  count(enriched: Enriched, added: AddedFlows): void;
}

/** Registers them. */
export function createExporterMetrics(
  registry: Registry,
  aggregate: Aggregate,
  owners: OwnerRegistry,
  pending: PendingBatches,
): ExporterMetrics {
  const registers = [registry];
  const counter = (name: string, help: string) => new Counter({ name, help, registers });
  const pairs = counter('egressd_exporter_pairs_received_total', 'Pairs in batches of collectors.');
  const flows = counter(
    'egressd_exporter_flows_total',
    'Flows kept: a pair gives one for each end that is a pod of the sending node.',
  );
  const folded = foldedFlows(registry);
  const dropped = bytesAndPairs(registry, 'dropped', DROPPED_HELP);
  const unlisted = bytesAndPairs(registry, 'unlisted', UNLISTED_HELP);
  const forwarded = bytesAndPairs(registry, 'forwarded', FORWARDED_HELP);
  const unknown = bytesAndPairs(registry, 'unknown_owner', UNKNOWN_HELP);
  for (const reason of VERDICTS) if (reason !== 'kept') dropped({ reason }, { pairs: 0, bytes: 0, packets: 0 });
  gauges(registry, aggregate, owners);
  pendingMetrics(registry, pending);
  ownerDrops(registry, owners);
  return {
    count(enriched, added) {
      pairs.inc(enriched.parts.reduce((sum, { flows }) => sum + flows.rows, 0));
      flows.inc(added.flows);
      for (const reason of FOLD_REASONS) folded.inc({ reason }, added.folded[reason]);
      for (const [reason, moved] of enriched.dropped) dropped({ reason }, moved);
      unknown({}, enriched.unknown);
      unlisted({}, enriched.unlisted);
      forwarded({}, enriched.forwarded);
    },
  };
}

function foldedFlows(registry: Registry): Counter<'reason'> {
  const folded = new Counter({
    name: 'egressd_exporter_flows_folded_total',
    help: 'Flows added to a ~other series, by whose share of the series was used up: of the source pod, its namespace or its node; all: the cardinality limit is reached (egressd_exporter_series_limit). Sums stay exact.',
    labelNames: ['reason'],
    registers: [registry],
  });
  for (const reason of FOLD_REASONS) folded.inc({ reason }, 0);
  return folded;
}

const DROPPED_HELP =
  'that give no flow, both directions, by reason. not_local, host_network, excluded_namespace: as meant; unknown_source: the address has no known owner, is it missing from the inventory?; ambiguous: its owner changed meanwhile; too_many_pairs: raise max-pairs of the collector.';
const UNLISTED_HELP =
  'of addresses in no list, given to the node that saw them (src_pod is empty): second addresses of pods, containers beside Kubernetes. keepUnlisted of the configuration leaves them out.';
const FORWARDED_HELP =
  'that a node forwards by SNAT to a pod of another node (externalTrafficPolicy Cluster, NodePorts, masquerade-all): a flow from the pod to its client. The node of the pod reports the same packets as a second hop, from the pod to the entry node.';
const UNKNOWN_HELP = "that give a flow with an end of the cluster's own ranges whose owner is not known.";

function bytesAndPairs(
  registry: Registry,
  what: string,
  help: string,
): (labels: Record<string, string>, moved: TrafficSum) => void {
  const labelNames = what === 'dropped' ? ['reason'] : [];
  const make = (unit: string) =>
    new Counter({
      name: `egressd_exporter_${what}_${unit}_total`,
      help: `${unit === 'bytes' ? 'Bytes of traffic in pairs' : 'Pairs'} ${help}`,
      labelNames,
      registers: [registry],
    });
  const bytes = make('bytes');
  const pairs = make('pairs');
  return (labels, moved) => {
    bytes.inc(labels, moved.bytes);
    pairs.inc(labels, moved.pairs);
  };
}

function pendingMetrics(registry: Registry, pending: PendingBatches): void {
  new Gauge({
    name: 'egressd_exporter_batches_pending_owner',
    help: 'Batches pending because they name a pod that Kubernetes has not reported yet.',
    registers: [registry],
    collect() {
      this.set(pending.size);
    },
  });
  const held = new Counter({
    name: 'egressd_exporter_batches_held_total',
    help: 'Batches that were pending, by outcome. resolved; timed_out: after 10 s an owner was still unknown, an address of the cluster that no pod has, or Kubernetes is late (egressd_exporter_kubernetes_last_response_timestamp_seconds); no_room: too many batches were pending.',
    labelNames: ['outcome'],
    registers: [registry],
    collect() {
      for (const [outcome, count] of pending.takeOutcomes()) this.inc({ outcome }, count);
    },
  });
  for (const outcome of OUTCOMES) held.inc({ outcome }, 0);
}

/** What limits of the owners did not let in, or pushed out. The first that is collected takes the counts of both. */
function ownerDrops(registry: Registry, owners: OwnerRegistry): void {
  const ignored = new Counter({
    name: 'egressd_exporter_node_addresses_ignored_total',
    help: 'What was ignored of the addresses that nodes report of themselves, by reason. changes: a report of a node whose addresses had come and gone more than 1,024 times since the last export; undeclared: an address, beyond 16, of a node that neither Kubernetes nor the inventory has. Find out what runs there as a collector.',
    labelNames: ['reason'],
    registers: [registry],
    collect() {
      const { pastOwners, changedReports, undeclaredAddresses } = owners.takeDrops();
      this.inc({ reason: 'changes' }, changedReports);
      this.inc({ reason: 'undeclared' }, undeclaredAddresses);
      past.inc(pastOwners);
    },
  });
  const past = new Counter({
    name: 'egressd_exporter_ip_history_dropped_total',
    help: 'Past owners of an address that were dropped before their hour was over, since it had more than 256: late batches of that time are given to a later owner or to none. Find what makes so many pods with one address.',
    registers: [registry],
  });
  for (const reason of ['changes', 'undeclared']) ignored.inc({ reason }, 0);
}

function gauges(registry: Registry, aggregate: Aggregate, owners: OwnerRegistry): void {
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  gauge('egressd_exporter_series', 'Live series.', () => aggregate.size);
  gauge(
    'egressd_exporter_series_limit',
    'Cardinality limit: the highest maxSeries of the sinks, or what the memory allows where that is less.',
    () => aggregate.limit,
  );
  gauge('egressd_exporter_pods', 'Pods known.', () => owners.counts.pods);
  gauge('egressd_exporter_nodes', 'Nodes known.', () => owners.counts.nodes);
  gauge(
    'egressd_exporter_ip_history_addresses',
    'Addresses whose owner is known, or was until an hour ago.',
    () => owners.counts.addresses,
  );
}
