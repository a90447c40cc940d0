import { Counter, Gauge, type Registry } from 'prom-client';
import type { ChosenSource } from './conntrack/choose.ts';
import type {
  ConntrackSource,
  EndsReport,
  LosslessChange,
  ReadReport,
  SourceSwitches,
  TableState,
} from './conntrack/source.ts';
import type { FlowTable } from './flow-table/flow-table.ts';
import type { Reducer } from './reducer/reducer.ts';

/** What the loop records of the source, the flow table and the reducer. */
export interface CollectorMetrics {
  /** @param active connections whose counters moved */
  countRead(report: ReadReport, active: number): void;
  countFailedRead(): void;
  /** @param count connections whose end was told */
  countEnds(count: number): void;
  countEndsAmiss(report: EndsReport): void;
  setLossless(change: LosslessChange): void;
  setSizes(table: FlowTable, reducer: Reducer): void;
}

/** Registers them. @param source asked at every scrape */
export function createCollectorMetrics(
  registry: Registry,
  source: Pick<ConntrackSource, 'switches' | 'table'>,
): CollectorMetrics {
  const read = readMetrics(registry);
  const ends = endMetrics(registry);
  const sizes = sizeMetrics(registry);
  switchMetrics(registry, () => source.switches());
  tableMetrics(registry, () => source.table?.());
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
    countEnds: (count) => ends.told.inc(count),
    countEndsAmiss({ deleted, overruns, lost, gaps, skipped }) {
      ends.deleted.inc(deleted);
      ends.overruns.inc(overruns);
      ends.lost.inc(lost);
      ends.gaps.inc(gaps);
      for (const [reason, count] of Object.entries(skipped)) ends.skipped.inc({ reason }, count);
    },
    setLossless(change) {
      ends.lossless.set(change === 'resumed' ? 1 : 0);
      if (change !== 'resumed') ends.suspended.inc({ reason: change });
    },
    setSizes(table, reducer) {
      sizes.connections.set(table.size);
      sizes.tombstones.set(table.tombstones);
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
    seconds: gauge(
      'egressd_collector_conntrack_last_read_duration_seconds',
      'How long the last read took, most of it in the kernel.',
    ),
    secondsTotal: new Counter({
      name: 'egressd_collector_conntrack_read_duration_seconds_total',
      help: 'How long all reads took.',
      registers,
    }),
    reads: new Counter({
      name: 'egressd_collector_conntrack_reads_total',
      help: 'Reads of the conntrack table. incomplete: it changed under every attempt; failed: the log has the reason. Neither loses bytes of connections that the next read still sees.',
      labelNames: ['result'] as const,
      registers,
    }),
    repeated: new Counter({
      name: 'egressd_collector_conntrack_read_retries_total',
      help: 'Attempts given up because the table changed under the dump (interrupted) or the socket overran (overrun), and readings of a map that began anew because the key they stood at was deleted (restarted).',
      labelNames: ['reason'] as const,
      registers,
    }),
    skipped: new Gauge({
      name: 'egressd_collector_conntrack_entries_skipped',
      help: 'Entries left out of the last read. no_counters: opened before nf_conntrack_acct was on, they go as they end; undecodable: report it; loopback: not traffic of pods. Of Cilium: no_counters: it did not count then; service, related: no flows of their own; counted_at_source: the other entry of the same flow is read.',
      labelNames: ['reason'] as const,
      registers,
    }),
  };
}

function endMetrics(registry: Registry) {
  const registers = [registry];
  const counter = (name: string, help: string) => new Counter({ name, help, registers });
  return {
    told: counter(
      'egressd_collector_conntrack_destroy_events_total',
      'Connections whose end, with final counters, the kernel told.',
    ),
    deleted: counter(
      'egressd_collector_conntrack_entries_deleted_total',
      'Connections that somebody deleted (conntrack -D, -F, another agent). The last packets of each, those in flight, are not counted: find out who does it.',
    ),
    overruns: counter(
      'egressd_collector_conntrack_event_overruns_total',
      'Times that ends came faster than the collector took them, so that some were lost; each is followed by a read at once. What those connections moved since the last read that saw them is lost. Give the collector more CPU; see also -conntrack-events=lossless.',
    ),
    lost: counter(
      'egressd_collector_conntrack_events_lost_total',
      'Ends of connections that were lost so, as the kernel counts.',
    ),
    gaps: counter(
      'egressd_collector_conntrack_event_gaps_total',
      'Times that nobody listened for ends because the reading thread was started anew: the log has the reason. What connections that ended meanwhile moved since the last read is lost.',
    ),
    lossless: new Gauge({
      name: 'egressd_collector_conntrack_lossless_active',
      help: 'With -conntrack-events=lossless: 1 while the kernel keeps ended connections until their end was told, else 0.',
      registers,
    }),
    suspended: new Counter({
      name: 'egressd_collector_conntrack_lossless_suspensions_total',
      help: 'Times that the kernel was told not to keep them any longer. table: its table is nearly full, raise nf_conntrack_max; stall: the collector did not read for some seconds, give it more CPU; watchdog: the process that watches it ended, see the log.',
      labelNames: ['reason'] as const,
      registers,
    }),
    skipped: new Counter({
      name: 'egressd_collector_conntrack_events_skipped_total',
      help: 'Ends that were left out. no_counters: the connection was opened before nf_conntrack_acct was on; undecodable: report it; loopback: not traffic of pods.',
      labelNames: ['reason'] as const,
      registers,
    }),
  };
}

function sizeMetrics(registry: Registry) {
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  return {
    connections: gauge('egressd_collector_flow_table_connections', 'Connections whose last counters are kept.'),
    tombstones: gauge(
      'egressd_collector_flow_table_ended_connections',
      'Connections that have ended and are remembered a little longer, so that none counts twice.',
    ),
    pairs: gauge('egressd_collector_pairs', 'Pairs of addresses known. Its bound is -max-pairs.'),
    pending: gauge('egressd_collector_pairs_pending', 'Pairs with bytes that are not in a batch yet.'),
    backwards: new Counter({
      name: 'egressd_collector_conntrack_counter_decreases_total',
      help: 'Connections whose counters fell: somebody else on the node reads them with zeroing (conntrack -L -z, another agent). What was counted between its read and ours is lost: stop it.',
      registers,
    }),
    recreated: new Counter({
      name: 'egressd_collector_cilium_entries_recreated_total',
      help: "Entries of Cilium's maps whose counters fell: another connection with the same ports. Its whole count is new; what the one before moved after the last read is lost. One that has grown past its predecessor's count within a read interval is not among these, and only the difference counts.",
      registers,
    }),
    folded: new Counter({
      name: 'egressd_collector_pairs_folded_total',
      help: 'Connections merged because there were more pairs than -max-pairs: into a public end (0.0.0.0, ::), or into the unknown pair. Raise -max-pairs.',
      labelNames: ['into'] as const,
      registers,
    }),
  };
}

function switchMetrics(registry: Registry, switches: () => SourceSwitches): void {
  new Gauge({
    name: 'egressd_collector_conntrack_sysctl',
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
    name: 'egressd_collector_source_active',
    help: 'Where connections are read: 1 for netfilter or cilium.',
    labelNames: ['source'] as const,
    registers: [registry],
    collect() {
      this.reset();
      this.set({ source: source.name }, 1);
    },
  });
  new Gauge({
    name: 'egressd_collector_source_unusable',
    help: "1 where a source is there, or was asked for with -ct-mode, and cannot be read; the log says what to do. directions_summed: Cilium 1.16 and later add both directions together; counters_off: Cilium does not count; stale, untold: left from a removed Cilium, or no traffic yet; sizes, layout_unknown: report it with Cilium's version; absent, no_endpoints: maps are missing; permission: run as root, before Linux 5.19 with the capability BPF; library: install libbpf.",
    labelNames: ['source', 'reason'] as const,
    registers: [registry],
    collect() {
      this.reset();
      if (source.unusable !== undefined) this.set({ ...source.unusable }, 1);
    },
  });
}

function tableMetrics(registry: Registry, table: () => TableState | undefined): void {
  const registers = [registry];
  const gauge = (name: string, help: string, value: (state: TableState) => number | undefined) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const now = value(table() ?? UNKNOWN_TABLE);
        if (now === undefined) this.remove();
        else this.set(now);
      },
    });
  gauge(
    'egressd_collector_conntrack_table_entries',
    "Entries in the kernel's table, those too that expired and are not removed yet.",
    ({ entries }) => entries,
  );
  gauge(
    'egressd_collector_conntrack_table_max_entries',
    'How many it may hold (nf_conntrack_max). Where it is nearly full the node drops new connections: raise it.',
    ({ limit }) => limit,
  );
  new Counter({
    name: 'egressd_collector_conntrack_statistics_total',
    help: 'What the kernel counts of its table, since it started. invalid: packets that belong to no connection, not in the accounts; drop: packets dropped because the table is full, raise nf_conntrack_max; early_drop: connections ended early to make room, as drop; insert_failed: new connections that lost a race, their packets are dropped.',
    labelNames: ['name'] as const,
    registers,
    collect() {
      for (const [name, total] of Object.entries(table()?.statistics ?? {})) show(this, { name }, total);
    },
  });
}

const UNKNOWN_TABLE: TableState = { entries: undefined, limit: undefined, statistics: undefined };

/** Shows a running total that somebody else keeps. */
function show(counter: Counter<string>, labels: Record<string, string>, total: number): void {
  counter.remove(labels);
  counter.inc(labels, total);
}
