import { type ClockStep, directionOf } from '@egressd/daemon/clock-steps';
import { Counter, Gauge, type Registry } from 'prom-client';
import { type ConntrackMetrics, createConntrackMetrics } from './conntrack/metrics.ts';
import type { ConntrackSource } from './conntrack/source.ts';
import type { FlowTable } from './flow-table/flow-table.ts';
import type { Reducer } from './reducer/reducer.ts';

/** What the collector's loop records of the source, the flow table and the reducer. */
export interface CollectorMetrics extends ConntrackMetrics {
  setSizes(table: FlowTable, reducer: Reducer): void;
  countClockStep(step: ClockStep): void;
}

/** Registers them. @param source asked at every scrape */
export function createCollectorMetrics(
  registry: Registry,
  source: Pick<ConntrackSource, 'sysctls' | 'table'>,
): CollectorMetrics {
  const conntrack = createConntrackMetrics(registry, source);
  const sizes = sizeMetrics(registry);
  const clock = new Counter({
    name: 'egressd_collector_clock_steps_total',
    help: "Times that the node's clock was set, by direction (forward, back). Nothing is lost by it. If it grows, see the node's time service (NTP).",
    labelNames: ['direction'] as const,
    registers: [registry],
  });
  return {
    ...conntrack,
    countClockStep: (step) => clock.inc({ direction: directionOf(step) }),
    setSizes(table, reducer) {
      sizes.connections.set(table.size);
      sizes.tombstones.set(table.tombstones);
      sizes.duplicates.set(table.zoneDuplicates);
      sizes.pairs.set(reducer.size);
      sizes.pending.set(reducer.rows);
      setTotal(sizes.decreases, {}, table.counterDecreases);
      setTotal(sizes.recreated, {}, table.recreated);
      setTotal(sizes.folded, { into: 'public' }, reducer.foldedPublic);
      setTotal(sizes.folded, { into: 'unknown' }, reducer.foldedUnknown);
    },
  };
}

function sizeMetrics(registry: Registry) {
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  return {
    connections: gauge('egressd_collector_flow_table_connections', 'Connections whose last counters are kept.'),
    tombstones: gauge(
      'egressd_collector_flow_table_ended_connections',
      'Connections that have ended and are kept a little longer, so that none counts twice.',
    ),
    duplicates: gauge(
      'egressd_collector_conntrack_zone_duplicates',
      'Connections that are set aside because an entry of another conntrack zone counts the same packets (Open vSwitch: OVN-Kubernetes, Antrea).',
    ),
    pairs: gauge('egressd_collector_pairs', 'Pairs of addresses known. Their cardinality limit is -max-pairs.'),
    pending: gauge('egressd_collector_pairs_pending', 'Pairs with bytes that are not in a batch yet.'),
    decreases: new Counter({
      name: 'egressd_collector_conntrack_entries_zeroed_total',
      help: 'Connections whose counters fell: another process on the node reads them with zeroing (conntrack -L -z, another agent). What was counted between its read and ours is lost: stop it.',
      registers,
    }),
    recreated: new Counter({
      name: 'egressd_collector_cilium_entries_recreated_total',
      help: "Entries of Cilium's maps whose counters fell: another connection with the same ports. Its whole count is new; what the one before moved after the last read is lost. One that has grown past its predecessor's count within a read interval is not among these, and only the difference counts.",
      registers,
    }),
    folded: new Counter({
      name: 'egressd_collector_pairs_folded_total',
      help: 'Connections merged at the cardinality limit -max-pairs: into a public end (0.0.0.0, ::), or into the unknown pair. Raise -max-pairs.',
      labelNames: ['into'] as const,
      registers,
    }),
  };
}

/** Shows a running total that is kept elsewhere. */
function setTotal(counter: Counter<string>, labels: Record<string, string>, total: number): void {
  counter.remove(labels);
  counter.inc(labels, total);
}
