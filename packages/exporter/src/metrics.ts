import { Counter, Gauge, type Registry } from 'prom-client';
import type { AddedFlows, Aggregate } from './aggregate/aggregate.ts';
import type { Joined, Moved } from './enrich/enrich.ts';
import { VERDICTS } from './enrich/verdict.ts';
import type { OwnerRegistry } from './owners/registry.ts';
import { OUTCOMES, type Waiting } from './pending/pending-batches.ts';
import type { ReceivedBatch } from './receiver/received.ts';

/** What the loop records of join, aggregate and owners. */
export interface ExporterMetrics {
  count(batch: ReceivedBatch, joined: Joined, added: AddedFlows): void;
}

/** Registers them. */
export function createExporterMetrics(
  registry: Registry,
  aggregate: Aggregate,
  owners: OwnerRegistry,
  waiting: Waiting,
): ExporterMetrics {
  const registers = [registry];
  const counter = (name: string, help: string) => new Counter({ name, help, registers });
  const pairs = counter('egressd_exporter_pairs_received_total', 'Pairs in batches of collectors.');
  const flows = counter(
    'egressd_exporter_flows_total',
    'Flows kept: a pair gives one for each end that is a pod of the sending node.',
  );
  const folded = counter(
    'egressd_exporter_flows_folded_total',
    'Flows added to a ~other series because there are too many series.',
  );
  const dropped = bytesAndPairs(registry, 'dropped', DROPPED_HELP);
  const unknown = bytesAndPairs(registry, 'unknown_owner', UNKNOWN_HELP);
  for (const reason of VERDICTS) if (reason !== 'kept') dropped({ reason }, { pairs: 0, bytes: 0, packets: 0 });
  gauges(registry, aggregate, owners);
  waits(registry, waiting);
  return {
    count(batch, joined, added) {
      pairs.inc(batch.parts.reduce((sum, part) => sum + part.rows, 0));
      flows.inc(added.flows);
      folded.inc(added.folded);
      for (const [reason, moved] of joined.dropped) dropped({ reason }, moved);
      unknown({}, joined.unknown);
    },
  };
}

const DROPPED_HELP =
  'in pairs that give no flow, both directions, by reason. not_local, host_network, excluded_namespace: as meant; unknown_source: nobody is known to have the address, is it missing from the inventory?; ambiguous: it changed hands meanwhile; too_many_pairs: raise max-pairs of the collector.';
const UNKNOWN_HELP = "in flows with an end of the cluster's own ranges of which it is not known whose it was.";

function bytesAndPairs(
  registry: Registry,
  what: string,
  help: string,
): (labels: Record<string, string>, moved: Moved) => void {
  const labelNames = what === 'dropped' ? ['reason'] : [];
  const make = (unit: string) =>
    new Counter({
      name: `egressd_exporter_${what}_${unit}_total`,
      help: `${unit === 'bytes' ? 'Bytes' : 'Pairs'} ${help}`,
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

function waits(registry: Registry, waiting: Waiting): void {
  new Gauge({
    name: 'egressd_exporter_batches_pending_owner',
    help: 'Batches that are held back because they name a pod that Kubernetes has not told of yet.',
    registers: [registry],
    collect() {
      this.set(waiting.size);
    },
  });
  const waited = new Counter({
    name: 'egressd_exporter_batches_held_total',
    help: 'Batches that were held back, by how it ended: told; gave_up: after 10 s somebody was still unknown, an address of the cluster that nobody has, or Kubernetes is late (egressd_exporter_kubernetes_last_response_timestamp_seconds); no_room: too many batches waited.',
    labelNames: ['outcome'],
    registers: [registry],
    collect() {
      for (const [outcome, count] of waiting.takeOutcomes()) this.inc({ outcome }, count);
    },
  });
  for (const outcome of OUTCOMES) waited.inc({ outcome }, 0);
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
  gauge('egressd_exporter_pods', 'Pods known.', () => owners.counts.pods);
  gauge('egressd_exporter_nodes', 'Nodes known.', () => owners.counts.nodes);
  gauge(
    'egressd_exporter_ip_history_addresses',
    'Addresses whose owner is known, or was until an hour ago.',
    () => owners.counts.addresses,
  );
}
