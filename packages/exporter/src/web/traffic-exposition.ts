import { protocolName } from '@egressd/flow/protocol';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { RestoredTotals } from '../aggregate/image.ts';
import { OTHER, otherLabels, type Series, type SeriesLabels, type Snapshot } from '../aggregate/snapshot.ts';
import { addTo, growTotals, increaseOf, setTo, totalOf, zeroTotals } from '../aggregate/totals.ts';
import { formatCounter, formatLabels } from './exposition.ts';

/** Cardinality limit of `/metrics`: groups, two lines each. What would be one more is folded into a `~other` group. */
const MAX_GROUPS = 10_000;
const FIRST_CAPACITY = 256;

/** Series that `/metrics` shows as one: they differ only in addresses and nodes. */
interface Group {
  /** Place of its totals. */
  readonly index: number;
  readonly labels: string;
  liveSeries: number;
}

/** A live series: its group, and its totals that are in there already. */
interface Member {
  readonly group: Group;
  txLow: number;
  txHigh: number;
  rxLow: number;
  rxHigh: number;
}

/**
 * The traffic series of `/metrics`, by pod, namespace, zone and protocol. Each group keeps cumulative totals of its own, so that they go
 * on when a series in it is evicted.
 *
 *   snapshot: series ──> member: what of it is in the group already
 *                          └──> group: labels as text ──> tx, rx: totals by index        idle: groups without a live series, longest first
 *
 * A group stays when its last series is evicted, and continues when one comes back; it is evicted only to make room for another.
 */
export class TrafficExposition {
  readonly #maxGroups: number;
  readonly #members = new Map<Series, Member>();
  readonly #groups = new Map<string, Group>();
  readonly #others = new Map<string, Group>();
  readonly #idle = new Set<Group>();
  readonly #tx = zeroTotals(FIRST_CAPACITY);
  readonly #rx = zeroTotals(FIRST_CAPACITY);
  readonly #freeIndexes: number[] = [];
  readonly #folded: Counter;

  constructor({ registry, maxGroups = MAX_GROUPS }: { readonly registry: Registry; readonly maxGroups?: number }) {
    this.#maxGroups = maxGroups;
    const size = () => this.#groups.size + this.#others.size;
    new Gauge({
      name: 'egressd_exporter_traffic_metrics_groups',
      help: 'Groups in the traffic series of /metrics.',
      registers: [registry],
      collect() {
        this.set(size());
      },
    });
    this.#folded = new Counter({
      name: 'egressd_exporter_traffic_metrics_folded_series_total',
      help: 'Series folded into ~other in the traffic series of /metrics, beyond its cardinality limit. Sinks are not affected.',
      registers: [registry],
    });
  }

  /**
   * Starts from the totals, before the first snapshot: what is counted from then on is shown. To resume from what was shown before would
   * be wrong unless that is known to the byte: a counter that comes back a little lower is counted again, whole, by the Prometheus that
   * scrapes it; one that comes back at zero is recognized as a reset.
   */
  startFrom({ series, totals }: RestoredTotals): void {
    for (let row = 0; row < series.length; row++) skipTo(this.#add(series[row]!), totals, row);
  }

  /** Adds the increases since the last snapshot. Needs every snapshot, in order. */
  update({ series, totals, evicted }: Snapshot): void {
    const { txBytes, rxBytes } = totals;
    const [tx, rx] = [this.#tx, this.#rx];
    for (let row = 0; row < series.length; row++) {
      const member = this.#members.get(series[row]!) ?? this.#add(series[row]!);
      const { index } = member.group;
      const sent = increaseOf(txBytes, row, member.txLow, member.txHigh);
      const received = increaseOf(rxBytes, row, member.rxLow, member.rxHigh);
      if (sent === 0 && received === 0) continue;
      addTo(tx, index, sent);
      addTo(rx, index, received);
      skipTo(member, totals, row);
    }
    for (const it of evicted) this.#remove(it);
  }

  /** The text that follows the registry's at `/metrics`, in pieces. */
  *text(): Iterable<string> {
    const groups = [...this.#groups.values(), ...this.#others.values()];
    const transmitted = groups.map(({ labels, index }) => [labels, totalOf(this.#tx, index)] as const);
    const received = groups.map(({ labels, index }) => [labels, totalOf(this.#rx, index)] as const);
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

  #add(series: Series): Member {
    const group = this.#groupFor(series.labels);
    group.liveSeries++;
    this.#idle.delete(group);
    const member = { group, txLow: 0, txHigh: 0, rxLow: 0, rxHigh: 0 };
    this.#members.set(series, member);
    return member;
  }

  #remove(series: Series): void {
    const group = this.#members.get(series)?.group;
    if (group === undefined) return;
    this.#members.delete(series);
    group.liveSeries--;
    if (group.liveSeries === 0 && this.#groups.has(group.labels)) this.#idle.add(group);
  }

  #groupFor(labels: SeriesLabels): Group {
    // The aggregate folds by the same rule: what it folded must not be shown a second time.
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
      this.#evict(longest);
    }
    return this.#newGroup(this.#groups, text);
  }

  #otherFor(labels: SeriesLabels): Group {
    const text = labelText(otherLabels(labels));
    return this.#others.get(text) ?? this.#newGroup(this.#others, text);
  }

  #newGroup(groups: Map<string, Group>, labels: string): Group {
    const index = this.#freeIndexes.pop() ?? this.#groups.size + this.#others.size;
    if (index >= this.#tx.low.length) for (const totals of [this.#tx, this.#rx]) growTotals(totals, 2 * index);
    const group = { index, labels, liveSeries: 0 };
    groups.set(labels, group);
    return group;
  }

  #evict(group: Group): void {
    this.#idle.delete(group);
    this.#groups.delete(group.labels);
    this.#freeIndexes.push(group.index);
    for (const totals of [this.#tx, this.#rx]) setTo(totals, group.index, 0);
  }
}

/** The totals of the series up to this row are in its group, or are not to be shown. */
function skipTo(member: Member, { txBytes, rxBytes }: RestoredTotals['totals'], row: number): void {
  member.txLow = txBytes.low[row]!;
  member.txHigh = txBytes.high[row]!;
  member.rxLow = rxBytes.low[row]!;
  member.rxHigh = rxBytes.high[row]!;
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
