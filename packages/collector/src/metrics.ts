import { Counter, Gauge, type Registry } from 'prom-client';
import type { ChosenSource } from './conntrack/chosen-source.ts';
import type { ReadReport, SourceSwitches } from './conntrack/source.ts';
import type { FlowTable } from './flow-table/flow-table.ts';
import type { Reducer } from './reducer/reducer.ts';

/** What the loop records of the source, the flow table and the reducer. */
export interface CollectorMetrics {
  /** @param active connections whose counters moved */
  countRead(report: ReadReport, active: number): void;
  countFailedRead(): void;
  setSizes(table: FlowTable, reducer: Reducer): void;
}

/** Registers them. @param switches asked at every scrape */
export function createCollectorMetrics(registry: Registry, switches: () => SourceSwitches): CollectorMetrics {
  const read = readMetrics(registry);
  const sizes = sizeMetrics(registry);
  switchMetrics(registry, switches);
  return {
    countRead(report, active) {
      read.entries.set(report.entries);
      read.active.set(active);
      read.reads.inc({ result: report.complete ? 'complete' : 'incomplete' });
      read.repeated.inc({ reason: 'interrupted' }, report.interrupted);
      read.repeated.inc({ reason: 'overrun' }, report.overrun);
      read.repeated.inc({ reason: 'restarted' }, report.restarted ?? 0);
      for (const [reason, count] of Object.entries(report.skipped)) read.skipped.set({ reason }, count);
      read.seconds.set(report.durationMs / 1000);
      read.secondsTotal.inc(report.durationMs / 1000);
    },
    countFailedRead: () => read.reads.inc({ result: 'failed' }),
    setSizes(table, reducer) {
      sizes.connections.set(table.size);
      sizes.pairs.set(reducer.size);
      sizes.pending.set(reducer.rows);
      show(sizes.backwards, {}, table.backwards);
      show(sizes.recreated, {}, table.recreated);
      show(sizes.folded, { into: 'public' }, reducer.foldedPublic);
      show(sizes.folded, { into: 'unknown' }, reducer.foldedUnknown);
    },
  };
}

function readMetrics(registry: Registry) {
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  return {
    entries: gauge('egressd_conntrack_entries', 'Connections with counters in the last read.'),
    active: gauge('egressd_conntrack_entries_active', 'Connections whose counters moved between the last two reads.'),
    seconds: gauge('egressd_conntrack_read_seconds', 'How long the last read took, most of it in the kernel.'),
    secondsTotal: new Counter({
      name: 'egressd_conntrack_read_seconds_total',
      help: 'How long all reads took.',
      registers,
    }),
    reads: new Counter({
      name: 'egressd_conntrack_reads_total',
      help: 'Reads of the conntrack table. incomplete: it changed under every attempt; failed: the log has the reason. Neither loses bytes of connections that the next read still sees.',
      labelNames: ['result'] as const,
      registers,
    }),
    repeated: new Counter({
      name: 'egressd_conntrack_read_repeats_total',
      help: 'Attempts given up because the table changed under the dump (interrupted) or the socket overran (overrun), and readings of a map that began anew because the key they stood at was deleted (restarted).',
      labelNames: ['reason'] as const,
      registers,
    }),
    skipped: new Gauge({
      name: 'egressd_conntrack_entries_skipped',
      help: 'Entries left out of the last read. no_counters: opened before nf_conntrack_acct was on, they go as they end; undecodable: report it; loopback: not traffic of pods. Of Cilium: no_counters: it did not count then; service, related: no flows of their own; counted_at_source: the other entry of the same flow is read.',
      labelNames: ['reason'] as const,
      registers,
    }),
  };
}

function sizeMetrics(registry: Registry) {
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  return {
    connections: gauge('egressd_flow_table_connections', 'Connections whose last counters are kept.'),
    pairs: gauge('egressd_pairs', 'Pairs of addresses known. Its bound is -max-pairs.'),
    pending: gauge('egressd_pairs_pending', 'Pairs with bytes that are not in a batch yet.'),
    backwards: new Counter({
      name: 'egressd_conntrack_counters_backwards_total',
      help: 'Connections whose counters fell: somebody else on the node reads them with zeroing (conntrack -L -z, another agent). What was counted between its read and ours is lost: stop it.',
      registers,
    }),
    recreated: new Counter({
      name: 'egressd_conntrack_entries_recreated_total',
      help: "Entries of Cilium's maps whose counters fell: another connection with the same ports. Its whole count is new; what the one before moved after the last read is lost. One that has grown past its predecessor's count within a read interval is not among these, and only the difference counts.",
      registers,
    }),
    folded: new Counter({
      name: 'egressd_pairs_folded_total',
      help: 'Connections merged because there were more pairs than -max-pairs: into a public end (0.0.0.0, ::), or into the unknown pair. Raise -max-pairs.',
      labelNames: ['into'] as const,
      registers,
    }),
  };
}

function switchMetrics(registry: Registry, switches: () => SourceSwitches): void {
  new Gauge({
    name: 'egressd_conntrack_switch',
    help: "The kernel's switches that counting needs: nf_conntrack_acct and nf_conntrack_timestamp on, nf_conntrack_events 1. 0: off, run the collector once with -init. Missing: this kernel does not say.",
    labelNames: ['name'] as const,
    registers: [registry],
    collect() {
      this.reset();
      const { accounting, timestamps, events } = switches();
      const values = { nf_conntrack_acct: accounting, nf_conntrack_timestamp: timestamps, nf_conntrack_events: events };
      for (const [name, value] of Object.entries(values)) if (value !== undefined) this.set({ name }, Number(value));
    },
  });
}

/** Registers what is said of the source in use. @param source asked at every scrape */
export function createSourceMetrics(registry: Registry, source: Pick<ChosenSource, 'name' | 'unusable'>): void {
  new Gauge({
    name: 'egressd_source_in_use',
    help: 'Where connections are read: 1 for netfilter or cilium.',
    labelNames: ['source'] as const,
    registers: [registry],
    collect() {
      this.reset();
      this.set({ source: source.name }, 1);
    },
  });
  new Gauge({
    name: 'egressd_source_unusable',
    help: "1 where a source is there, or was asked for with -ct-mode, and cannot be read; the log says what to do. directions_summed: Cilium 1.16 and later add both directions together; counters_off: Cilium does not count; stale, untold: left from a removed Cilium, or no traffic yet; sizes, layout_unknown: report it with Cilium's version; absent, no_endpoints: maps are missing; permission: the capability BPF; library: libbpf.",
    labelNames: ['source', 'reason'] as const,
    registers: [registry],
    collect() {
      this.reset();
      if (source.unusable !== undefined) this.set({ ...source.unusable }, 1);
    },
  });
}

/** Shows a running total that somebody else keeps. */
function show(counter: Counter<string>, labels: Record<string, string>, total: number): void {
  counter.remove(labels);
  counter.inc(labels, total);
}
