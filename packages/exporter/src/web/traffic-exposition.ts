import { protocolName } from '@egressd/flow/protocol';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { RestoredTotals } from '../aggregate/image.ts';
import {
  HIGH_UNIT,
  increaseOf,
  OTHER,
  otherLabels,
  type Series,
  type SeriesLabels,
  type Snapshot,
} from '../aggregate/snapshot.ts';
import { formatCounter, formatLabels } from './exposition.ts';

/** Groups that `/metrics` shows: two lines each. What would be one more is added to a `~other` group. */
export const MAX_GROUPS = 10_000;

/** What `/metrics` shows of a series: everything but addresses and nodes. */
interface Group {
  readonly labels: string;
  txLow: number;
  txHigh: number;
  rxLow: number;
  rxHigh: number;
  /** Live series in it. */
  members: number;
}

/** A live series: its group, and how far its totals are in there. */
interface Member {
  readonly group: Group;
  txLow: number;
  txHigh: number;
  rxLow: number;
  rxHigh: number;
}

/**
 * The traffic as `/metrics` shows it, by pod, namespace, zone and protocol. Each group keeps totals of its own, so that they go
 * on when a series in it is evicted.
 *
 *   snapshot: series ──> member: what of it is in the group already
 *                          └──> group: labels as text, totals        idle: groups without a live series, longest first
 *
 * A group stays when its last series is gone, and goes on where it was when one comes back; it makes room only for another.
 */
export class TrafficExposition {
  readonly #maxGroups: number;
  readonly #members = new Map<Series, Member>();
  readonly #groups = new Map<string, Group>();
  readonly #others = new Map<string, Group>();
  readonly #idle = new Set<Group>();
  readonly #folded: Counter;

  constructor({ registry, maxGroups = MAX_GROUPS }: { readonly registry: Registry; readonly maxGroups?: number }) {
    this.#maxGroups = maxGroups;
    const size = () => this.#groups.size + this.#others.size;
    new Gauge({
      name: 'egressd_exporter_traffic_metrics_groups',
      help: 'Groups of traffic series that /metrics shows.',
      registers: [registry],
      collect() {
        this.set(size());
      },
    });
    this.#folded = new Counter({
      name: 'egressd_exporter_traffic_metrics_folded_series_total',
      help: 'Series that /metrics shows under ~other because it has no room for their group; a sink has them all.',
      registers: [registry],
    });
  }

  /**
   * Begins where the totals stand, before the first snapshot: the page shows what is counted from then on. To go on from what it showed
   * would be wrong unless that is known to the byte: a counter that comes back a little lower is counted again, whole, by whoever reads
   * it; one that comes back at zero is known to be of another process.
   */
  startFrom({ series, totals }: RestoredTotals): void {
    for (let row = 0; row < series.length; row++) {
      const member = this.#join(series[row]!);
      member.txLow = totals.txBytes.low[row]!;
      member.txHigh = totals.txBytes.high[row]!;
      member.rxLow = totals.rxBytes.low[row]!;
      member.rxHigh = totals.rxBytes.high[row]!;
    }
  }

  /** Adds what moved since the last snapshot. Needs every snapshot, in order. */
  update({ series, totals, evicted }: Snapshot): void {
    const { txBytes, rxBytes } = totals;
    for (let row = 0; row < series.length; row++) {
      const member = this.#members.get(series[row]!) ?? this.#join(series[row]!);
      const { group } = member;
      add(
        group,
        increaseOf(txBytes, row, member.txLow, member.txHigh),
        increaseOf(rxBytes, row, member.rxLow, member.rxHigh),
      );
      member.txLow = txBytes.low[row]!;
      member.txHigh = txBytes.high[row]!;
      member.rxLow = rxBytes.low[row]!;
      member.rxHigh = rxBytes.high[row]!;
    }
    for (const it of evicted) this.#leave(it);
  }

  /** The text that follows the registry's at `/metrics`, in pieces. */
  *text(): Iterable<string> {
    const groups = [...this.#groups.values(), ...this.#others.values()];
    const transmitted = groups.map((group) => [group.labels, group.txHigh * HIGH_UNIT + group.txLow] as const);
    const received = groups.map((group) => [group.labels, group.rxHigh * HIGH_UNIT + group.rxLow] as const);
    yield* formatCounter(
      'egressd_transmit_bytes_total',
      'L3 bytes that the source sent to the destination.',
      transmitted,
    );
    yield* formatCounter(
      'egressd_received_bytes_total',
      'L3 bytes that the source received from the destination.',
      received,
    );
  }

  #join(series: Series): Member {
    const group = this.#groupFor(series.labels);
    group.members++;
    this.#idle.delete(group);
    const member = { group, txLow: 0, txHigh: 0, rxLow: 0, rxHigh: 0 };
    this.#members.set(series, member);
    return member;
  }

  #leave(series: Series): void {
    const group = this.#members.get(series)?.group;
    if (group === undefined) return;
    this.#members.delete(series);
    group.members--;
    if (group.members === 0 && this.#groups.has(group.labels)) this.#idle.add(group);
  }

  #groupFor(labels: SeriesLabels): Group {
    // The aggregate folds by the same rule: what it folded must not stand here a second time.
    if (labels.src_pod === OTHER) return this.#otherFor(labels);
    const text = labelText(labels);
    const known = this.#groups.get(text);
    if (known !== undefined) return known;
    if (this.#groups.size >= this.#maxGroups) {
      const [longest] = this.#idle;
      if (longest === undefined) {
        this.#folded.inc();
        return this.#otherFor(labels);
      }
      this.#idle.delete(longest);
      this.#groups.delete(longest.labels);
    }
    return newGroup(this.#groups, text);
  }

  #otherFor(labels: SeriesLabels): Group {
    const text = labelText(otherLabels(labels));
    return this.#others.get(text) ?? newGroup(this.#others, text);
  }
}

function newGroup(groups: Map<string, Group>, labels: string): Group {
  const group = { labels, txLow: 0, txHigh: 0, rxLow: 0, rxHigh: 0, members: 0 };
  groups.set(labels, group);
  return group;
}

function add(group: Group, tx: number, rx: number): void {
  group.txLow += tx;
  group.rxLow += rx;
  if (group.txLow >= HIGH_UNIT) {
    const units = Math.floor(group.txLow / HIGH_UNIT);
    group.txLow -= units * HIGH_UNIT;
    group.txHigh += units;
  }
  if (group.rxLow >= HIGH_UNIT) {
    const units = Math.floor(group.rxLow / HIGH_UNIT);
    group.rxLow -= units * HIGH_UNIT;
    group.rxHigh += units;
  }
}

function labelText(labels: SeriesLabels): string {
  return formatLabels({
    src_pod: labels.src_pod,
    src_namespace: labels.src_namespace,
    src_zone: labels.src_zone,
    dst_pod: labels.dst_pod,
    dst_namespace: labels.dst_namespace,
    dst_zone: labels.dst_zone,
    cross_zone: String(labels.cross_zone),
    dst_ip_type: labels.dst_ip_type,
    proto: protocolName(labels.protocol),
  });
}
