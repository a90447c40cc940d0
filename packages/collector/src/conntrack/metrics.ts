import { Counter, Gauge, type Registry } from 'prom-client';
import type { ChosenSource } from './choose.ts';
import type {
  BlindSpots,
  ConntrackSource,
  ConntrackSysctls,
  EventLossReport,
  LosslessChange,
  ReadReport,
  TableState,
  UncountedTotals,
} from './source.ts';

/** Counts reads of connections, and their DESTROY events. */
export interface ConntrackMetrics {
  /** @param active connections whose counters moved */
  countRead(report: ReadReport, active: number): void;
  countFailedRead(): void;
  /** Another source is read from now on: what its first read shows is a baseline. */
  countSourceChange(): void;
  countDestroyEvents(connections: number): void;
  countEventLoss(report: EventLossReport): void;
  setLossless(change: LosslessChange): void;
}

/** Registers them. @param source asked at every scrape */
export function createConntrackMetrics(
  registry: Registry,
  source: Pick<ConntrackSource, 'sysctls' | 'table'>,
): ConntrackMetrics {
  const reads = readMetrics(registry, uncountedMetrics(registry));
  const events = eventMetrics(registry);
  registerSysctls(registry, () => source.sysctls());
  registerTable(registry, () => source.table?.());
  const changes = new Counter({
    name: 'egressd_collector_source_changes_total',
    help: 'Times that another source of connections took the place of the one before: what its first read shows is a baseline, so what moved since the last read before is not counted.',
    registers: [registry],
  });
  return { ...reads, ...events, countSourceChange: () => changes.inc() };
}

function readMetrics(
  registry: Registry,
  setUncounted: (totals: UncountedTotals | undefined) => void,
): Pick<ConntrackMetrics, 'countRead' | 'countFailedRead'> {
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  const entries = gauge('egressd_conntrack_entries', 'Connections with counters in the last read.');
  const activeEntries = gauge(
    'egressd_conntrack_entries_active',
    'Connections whose counters moved between the last two reads.',
  );
  const seconds = gauge(
    'egressd_collector_conntrack_last_read_duration_seconds',
    'How long the last read took, most of it in the kernel.',
  );
  const secondsTotal = new Counter({
    name: 'egressd_collector_conntrack_read_duration_seconds_total',
    help: 'How long all reads took.',
    registers,
  });
  const reads = new Counter({
    name: 'egressd_collector_conntrack_reads_total',
    help: 'Reads of the conntrack table, by result. incomplete: it changed under every attempt; failed: see the log. Neither loses bytes of connections that the next read still sees.',
    labelNames: ['result'] as const,
    registers,
  });
  const retries = new Counter({
    name: 'egressd_collector_conntrack_read_retries_total',
    help: 'Attempts abandoned and repeated, by reason. interrupted: the table changed under the dump; overrun: the socket overran (ENOBUFS); restarted: iterating a BPF map restarted because the key it stood at was deleted.',
    labelNames: ['reason'] as const,
    registers,
  });
  const skipped = new Gauge({
    name: 'egressd_collector_conntrack_entries_skipped',
    help: 'Entries left out of the last read, by reason. no_counters: opened before nf_conntrack_acct was on, they go as they end; undecodable: report it; loopback: not traffic of pods; other_zone: not among -conntrack-zones. Of Cilium: no_counters: it did not count then; service, related: no flows of their own; counted_at_source: the other entry of the same flow is read.',
    labelNames: ['reason'] as const,
    registers,
  });
  return {
    countRead(report, active) {
      entries.set(report.entries);
      activeEntries.set(active);
      reads.inc({ result: report.complete ? 'complete' : 'incomplete' });
      retries.inc({ reason: 'interrupted' }, report.interrupted);
      retries.inc({ reason: 'overrun' }, report.overrun);
      retries.inc({ reason: 'restarted' }, report.restarted ?? 0);
      for (const [reason, count] of Object.entries(report.skipped)) skipped.set({ reason }, count);
      setUncounted(report.uncounted);
      seconds.set(report.durationMs / 1000);
      secondsTotal.inc(report.durationMs / 1000);
    },
    countFailedRead: () => reads.inc({ result: 'failed' }),
  };
}

/** Of counting by eBPF; missing where another source is read. */
function uncountedMetrics(registry: Registry): (totals: UncountedTotals | undefined) => void {
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers, labelNames: ['reason'] as const });
  const packets = gauge(
    'egressd_collector_ebpf_uncounted_packets',
    'Packets that the eBPF programs could not count since they were first attached, by reason. full: of new pairs that found no room, raise -ebpf-max-pairs; malformed: headers that cannot be read.',
  );
  const bytes = gauge('egressd_collector_ebpf_uncounted_bytes', 'The bytes of these packets, where known.');
  const pairs = new Gauge({
    name: 'egressd_collector_ebpf_pairs',
    help: 'Pairs of addresses in the map of the eBPF programs.',
    registers,
  });
  const maxPairs = new Gauge({
    name: 'egressd_collector_ebpf_max_pairs',
    help: 'How many it may hold, as it was made: see -ebpf-max-pairs.',
    registers,
  });
  return (totals) => {
    for (const metric of [packets, bytes]) metric.reset();
    for (const metric of [pairs, maxPairs]) metric.remove();
    if (totals === undefined) return;
    packets.set({ reason: 'full' }, totals.fullPackets);
    packets.set({ reason: 'malformed' }, totals.malformed);
    bytes.set({ reason: 'full' }, totals.fullBytes);
    pairs.set(totals.pairs);
    maxPairs.set(totals.maxPairs);
  };
}

function eventMetrics(
  registry: Registry,
): Pick<ConntrackMetrics, 'countDestroyEvents' | 'countEventLoss' | 'setLossless'> {
  const registers = [registry];
  const counter = (name: string, help: string) => new Counter({ name, help, registers });
  const events = counter(
    'egressd_collector_conntrack_destroy_events_total',
    'DESTROY events received: connections that left the table, with their final counters.',
  );
  const deletedEntries = counter(
    'egressd_collector_conntrack_entries_deleted_total',
    'Connections deleted by a process (conntrack -D, -F, another agent). The last packets of each, those in flight, are not counted: find out which process it is.',
  );
  const eventOverruns = counter(
    'egressd_collector_conntrack_event_overruns_total',
    'Times that DESTROY events came faster than the collector received them (ENOBUFS), so that some were lost; each is followed by a read at once. What those connections moved since the last read that saw them is lost. Give the collector more CPU; see also -conntrack-events=lossless.',
  );
  const lostEvents = counter(
    'egressd_collector_conntrack_events_lost_total',
    'DESTROY events lost to overruns, as the kernel counts them.',
  );
  const eventGaps = counter(
    'egressd_collector_conntrack_event_gaps_total',
    'Times without a listener for DESTROY events because the reading thread was restarted: see the log. What connections that ended meanwhile moved since the last read is lost.',
  );
  const lossless = new Gauge({
    name: 'egressd_collector_conntrack_lossless_active',
    help: 'With -conntrack-events=lossless: 1 while the kernel keeps ended connections until their DESTROY event was delivered, else 0.',
    registers,
  });
  const suspensions = new Counter({
    name: 'egressd_collector_conntrack_lossless_suspensions_total',
    help: 'Times that -conntrack-events=lossless was suspended, by reason. table: the conntrack table is nearly full, raise nf_conntrack_max; stall: the collector did not read for some seconds, give it more CPU; watchdog: the process that watches it ended, see the log.',
    labelNames: ['reason'] as const,
    registers,
  });
  const skippedEvents = new Counter({
    name: 'egressd_collector_conntrack_events_skipped_total',
    help: 'DESTROY events left out, by reason. no_counters: the connection was opened before nf_conntrack_acct was on; undecodable: report it; loopback: not traffic of pods.',
    labelNames: ['reason'] as const,
    registers,
  });
  return {
    countDestroyEvents: (connections) => events.inc(connections),
    countEventLoss({ deleted, overruns, lost, gaps, skipped }) {
      deletedEntries.inc(deleted);
      eventOverruns.inc(overruns);
      lostEvents.inc(lost);
      eventGaps.inc(gaps);
      for (const [reason, count] of Object.entries(skipped)) skippedEvents.inc({ reason }, count);
    },
    setLossless(change) {
      lossless.set(change === 'resumed' ? 1 : 0);
      if (change !== 'resumed') suspensions.inc({ reason: change });
    },
  };
}

function registerSysctls(registry: Registry, sysctls: () => ConntrackSysctls): void {
  new Gauge({
    name: 'egressd_collector_conntrack_sysctl',
    help: 'The sysctls that counting needs: nf_conntrack_acct and nf_conntrack_timestamp 1, nf_conntrack_events 1. 0: off, run the collector once with -init. Missing: this kernel does not have it.',
    labelNames: ['name'] as const,
    registers: [registry],
    collect() {
      this.reset();
      const { accounting, timestamps, events } = sysctls();
      const values = { nf_conntrack_acct: accounting, nf_conntrack_timestamp: timestamps, nf_conntrack_events: events };
      for (const [name, value] of Object.entries(values)) if (value !== undefined) this.set({ name }, Number(value));
    },
  });
}

function registerTable(registry: Registry, table: () => TableState | undefined): void {
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
    "Entries in the kernel's table (nf_conntrack_count), those too that expired and are not removed yet.",
    ({ entries }) => entries,
  );
  gauge(
    'egressd_collector_conntrack_table_max_entries',
    'How many it may hold (nf_conntrack_max). Where it is nearly full the node drops new connections: raise it.',
    ({ limit }) => limit,
  );
  new Counter({
    name: 'egressd_collector_conntrack_statistics_total',
    help: "The kernel's own counters of its table (/proc/net/stat/nf_conntrack), since it started. invalid: packets that belong to no connection, not in the accounts; drop: packets dropped because the table is full, raise nf_conntrack_max; early_drop: connections ended early to make room, as drop; insert_failed: new connections that lost a race, their packets are dropped.",
    labelNames: ['name'] as const,
    registers,
    collect() {
      for (const [name, total] of Object.entries(table()?.statistics ?? {})) {
        this.remove({ name });
        this.inc({ name }, total);
      }
    },
  });
}

const UNKNOWN_TABLE: TableState = { entries: undefined, limit: undefined, statistics: undefined };

/** Registers which source is in use, and which cannot be. @param source asked at every scrape */
export function createSourceMetrics(registry: Registry, source: Pick<ChosenSource, 'name' | 'unusable'>): void {
  new Gauge({
    name: 'egressd_collector_source_active',
    help: 'Where connections are read: 1 for netfilter, cilium or ebpf.',
    labelNames: ['source'] as const,
    registers: [registry],
    collect() {
      this.reset();
      this.set({ source: source.name }, 1);
    },
  });
  new Gauge({
    name: 'egressd_collector_source_unusable',
    help: "1 where a source is there, or was asked for with -ct-mode, and cannot be read, by reason; the log says what to do. directions_summed: Cilium 1.16 and later add both directions together; counters_off: Cilium does not count; stale, undetermined: left from a removed Cilium, or no traffic yet; sizes, layout_unknown: report it with Cilium's version; absent, no_endpoints: maps are missing; permission: run as root, before Linux 5.19 with the capability BPF (ebpf: always, and NET_ADMIN); library: install libbpf. Of ebpf: mount: the host's cgroup v2 or BPF file system is not mounted; exclusive: another program allows none beside it; unsupported: Linux 5.8 or later is needed.",
    labelNames: ['source', 'reason'] as const,
    registers: [registry],
    collect() {
      this.reset();
      for (const labels of source.unusable) this.set({ ...labels }, 1);
    },
  });
}

/** Registers what passes conntrack by. @returns records what was found */
export function createBlindSpotMetrics(registry: Registry): (found: BlindSpots) => void {
  const gauge = new Gauge({
    name: 'egressd_collector_blind_spot',
    help: '1 where the kernel shows traffic that passes conntrack by and is not counted, by reason; the log says what to do. bridge: pods on a bridge without net.bridge.bridge-nf-call-iptables=1 (IPv6: -ip6tables); ipvs: Services of IPVS without net.ipv4.vs.conntrack=1; flowtable: a flowtable of nftables without counter; pods: in five minutes links of pods moved 100 MiB or more, and more than ten times what conntrack counted, as with an eBPF data plane. Missing: not known.',
    labelNames: ['reason'] as const,
    registers: [registry],
  });
  return (found) => {
    for (const [reason, what] of Object.entries(found))
      if (what === undefined) gauge.remove({ reason });
      else gauge.set({ reason }, what.length > 0 ? 1 : 0);
  };
}
