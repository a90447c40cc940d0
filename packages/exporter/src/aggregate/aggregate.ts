import { Bug } from '@egressd/flow/bug';
import type { Endpoint } from '../enrich/endpoint.ts';
import type { Enriched, EnrichedPart } from '../enrich/enriched.ts';
import { KEPT } from '../enrich/verdict.ts';
import { Endpoints, NO_ENDPOINT } from './endpoints.ts';
import { foldedDestination, foldedSource } from './fold.ts';
import type { AggregateImage, OtherKind, RestoredTotals } from './image.ts';
import { labelsOf } from './labels.ts';
import { SeriesIndex } from './series-index.ts';
import { SeriesTotals } from './series-totals.ts';
import { type FoldReason, SeriesShares, type SourceCounts } from './shares.ts';
import { otherLabels, type Position, type Series, type SeriesLabels, type Snapshot } from './snapshot.ts';

/** Cardinality limit where none is given: live series that are kept. */
const MAX_SERIES = 1_000_000;
/** A series that has not increased for so long is evicted, once every sink has accepted its last value. Milliseconds. */
export const EVICT_IDLE_AFTER_MS = 15 * 60_000;
/**
 * Least time between two snapshots, whatever the clock does: where it was ahead and is set back, snapshots follow each other so until it
 * has caught up. There must be room for the zero sample of a new series after the one and before the other.
 */
const MIN_SNAPSHOT_GAP_MS = 2;

/** What a batch added. */
export interface AddedFlows {
  /** Flows that were added: directions, not pairs. */
  readonly flows: number;
  /** Of these, those that were folded, by whose share was used up. */
  readonly folded: FoldedFlows;
}

/** Flows by why they were folded. */
export type FoldedFlows = Readonly<Record<FoldReason, number>>;

/**
 * Cumulative totals of all series.
 *
 *   index    source id | destination id | protocol           row -> what it is the total of
 *   totals   four totals a row, and when it last increased
 *   series   the object that sinks know it by
 *
 * Rows are dense and in order of age. A `~other` series has no endpoints: its source id is 0 and its destination id stands for
 * its labels.
 *
 * At the cardinality limit, or where a source has its share of it (`SeriesShares`), a new series is folded: into one of its source and
 * `~other`, and where the source may not have that one either, into a `~other` series. No bytes are lost, detail is.
 *
 * Time in here only goes forward, whatever the clock does: what increases after a snapshot has at least that snapshot's time, what
 * is in a snapshot has an earlier one. So a series has been accepted at its last value once a snapshot later than its last
 * increase has been.
 */
export class Aggregate {
  readonly #shares: SeriesShares;
  readonly #endpoints = new Endpoints();
  readonly #index = new SeriesIndex();
  readonly #totals = new SeriesTotals();
  /** By kind and protocol: the destination id of the `~other` series. */
  readonly #other = new Map<string, number>();
  /** By that id. */
  readonly #otherKinds = new Map<number, OtherKind>();
  #series: Series[] = [];
  /** The rows' series as in the last snapshot; undefined once they have changed. */
  #snapshotSeries: readonly Series[] | undefined;
  #evicted: Series[] = [];
  #nextId = 1;
  #timeMs = 0;
  /** The time of what has left: a snapshot, or one of a process before. */
  #leftMs = 0;

  constructor({ maxSeries = MAX_SERIES }: { readonly maxSeries?: number } = {}) {
    this.#shares = new SeriesShares(maxSeries);
  }

  /** Live series. */
  get size(): number {
    return this.#index.rows;
  }

  /** Cardinality limit: live series beside those of `~other` alone. */
  get limit(): number {
    return this.#shares.limit;
  }

  /** Distinct endpoints of live series. */
  get endpoints(): number {
    return this.#endpoints.size;
  }

  /** Adds the flows of a batch. */
  add(joined: Enriched, nowMs: number): AddedFlows {
    this.#timeMs = Math.max(this.#timeMs, nowMs);
    let flows = 0;
    const folded = { pod: 0, namespace: 0, node: 0, all: 0 };
    for (const part of joined.parts) flows += this.#addPart(part, folded);
    return { flows, folded };
  }

  /** The clock was set: until a snapshot has left, time may go back with it. */
  moveStart(byMs: number): void {
    if (this.#timeMs > this.#leftMs) this.#timeMs = Math.max(this.#leftMs, this.#timeMs + byMs);
  }

  /** All live series and their totals now, with what has been evicted since the last snapshot. */
  snapshot(nowMs: number, position: Position): Snapshot {
    this.#timeMs = Math.max(this.#timeMs + MIN_SNAPSHOT_GAP_MS, nowMs);
    this.#leftMs = this.#timeMs;
    this.#snapshotSeries ??= this.#series.slice();
    const evicted = this.#evicted;
    this.#evicted = [];
    const rows = this.#index.rows;
    const totals = {
      txBytes: this.#totals.column('txBytes', rows),
      txPackets: this.#totals.column('txPackets', rows),
      rxBytes: this.#totals.column('rxBytes', rows),
      rxPackets: this.#totals.column('rxPackets', rows),
    };
    return { timeMs: this.#timeMs, series: this.#snapshotSeries, totals, evicted, position };
  }

  /** The whole state, as it is in the snapshot that was just taken. Valid until anything else is called. */
  image({ timeMs, totals }: Snapshot): AggregateImage {
    if (timeMs !== this.#timeMs) throw new Bug('an image of a snapshot that is not the newest');
    const rows = this.#index.rows;
    const { ends, places } = this.#endpoints.list();
    // Ends of `~other` series have no place.
    const placed = (ids: Uint32Array) => ids.subarray(0, rows).map((id) => places[id] ?? 0);
    const source = placed(this.#index.source);
    const destination = placed(this.#index.destination);
    for (let row = 0; row < rows; row++) if (source[row] === 0) destination[row] = this.#index.destination[row]!;
    return {
      timeMs,
      nextId: this.#nextId,
      endpoints: ends,
      source,
      destination,
      protocol: this.#index.protocol.subarray(0, rows),
      ids: Float64Array.from(this.#series, ({ id }) => id),
      changed: this.#totals.changedColumn(rows),
      totals,
      others: this.#otherKinds,
    };
  }

  /** Resumes from an image, before anything was added. */
  restore(image: AggregateImage): RestoredTotals {
    if (this.#nextId !== 1) throw new Bug('restored over what was counted already');
    this.#timeMs = image.timeMs;
    this.#leftMs = image.timeMs;
    const ids = image.endpoints.map((end) => this.#endpoints.idOf(end));
    for (let row = 0; row < image.ids.length; row++) {
      this.#nextId = image.ids[row]!;
      this.#restoreRow(image, row, ids);
      this.#totals.restore(row, image.totals, image.changed[row]!);
    }
    this.#nextId = image.nextId;
    for (const id of new Set(ids)) this.#endpoints.evictUnused(id);
    this.#snapshotSeries = this.#series.slice();
    return { series: this.#snapshotSeries, totals: image.totals };
  }

  #restoreRow(image: AggregateImage, row: number, ids: readonly number[]): void {
    const [source, destination, protocol] = [image.source[row]!, image.destination[row]!, image.protocol[row]!];
    const counts = source === NO_ENDPOINT ? [] : this.#shares.of(image.endpoints[source - 1]!.owner);
    if (source !== NO_ENDPOINT) this.#newRow(ids[source - 1]!, ids[destination - 1]!, protocol, counts);
    else this.#newOther(image.others.get(destination)!, protocol);
  }

  /**
   * Evicts series that have not increased for `EVICT_IDLE_AFTER_MS` and whose last value every sink has accepted.
   * @param acceptedUpToMs time of the latest snapshot that every sink has accepted (it, or a later one in its place)
   * @returns how many were evicted
   */
  evictIdle(nowMs: number, acceptedUpToMs: number): number {
    const idleSince = Math.min(Math.max(this.#timeMs, nowMs) - EVICT_IDLE_AFTER_MS, acceptedUpToMs);
    const rows = this.#index.rows;
    const kept = new Uint32Array(rows);
    let count = 0;
    for (let row = 0; row < rows; row++) if (this.#totals.changedMs(row) >= idleSince) kept[count++] = row;
    if (count === rows) return 0;
    this.#evictAllBut(kept.subarray(0, count));
    return rows - count;
  }

  /** @returns flows added */
  #addPart({ flows, endpoints, verdicts }: EnrichedPart, folded: Record<FoldReason, number>): number {
    const { rows, source, destination, protocol, txBytes, txPackets, rxBytes, rxPackets } = flows;
    const totals = this.#totals;
    const nowMs = this.#timeMs;
    // By index in the part's dictionary: the endpoint's id, where a flow has needed it already.
    const ids = new Uint32Array(endpoints.length);
    /** Ids that a series may use, or none. */
    const touched = new Set<number>();
    let added = 0;
    const rowOf = (from: number, to: number, proto: number): number => {
      if (ids[from] === NO_ENDPOINT) ids[from] = this.#endpoints.idOf(endpoints[from]!);
      if (ids[to] === NO_ENDPOINT) ids[to] = this.#endpoints.idOf(endpoints[to]!);
      added++;
      const found = this.#index.find(ids[from]!, ids[to]!, proto);
      if (found >= 0) return found;
      const counts = this.#shares.of(endpoints[from]!.owner);
      const refusal = this.#shares.refusal(counts);
      if (refusal === undefined) return this.#newRow(ids[from]!, ids[to]!, proto, counts);
      folded[refusal]++;
      touched.add(ids[from]!).add(ids[to]!);
      return this.#foldedRow(endpoints[from]!, endpoints[to]!, proto, counts, touched);
    };
    for (let row = 0; row < rows; row++) {
      const s = source[row]!;
      const d = destination[row]!;
      const p = protocol[row]!;
      if (verdicts[s] === KEPT)
        totals.add(rowOf(s, d, p), txBytes[row]!, txPackets[row]!, rxBytes[row]!, rxPackets[row]!, nowMs);
      if (verdicts[d] === KEPT)
        totals.add(rowOf(d, s, p), rxBytes[row]!, rxPackets[row]!, txBytes[row]!, txPackets[row]!, nowMs);
    }
    for (const id of touched) this.#endpoints.evictUnused(id);
    return added;
  }

  /** The series of a source with `~other`, or one of `~other` with `~other` where there is no room for that. */
  #foldedRow(from: Endpoint, to: Endpoint, protocol: number, counts: SourceCounts, touched: Set<number>): number {
    const source = this.#endpoints.idOf(foldedSource(from));
    const destination = this.#endpoints.idOf(foldedDestination(to));
    touched.add(source).add(destination);
    const found = this.#index.find(source, destination, protocol);
    if (found >= 0) return found;
    // Its source has its share already: a half, so that twice of that is what there is room for.
    if (this.#shares.refusal(counts, 2) === undefined) return this.#newRow(source, destination, protocol, counts);
    return this.#otherRow(source, destination, protocol);
  }

  #newRow(source: number, destination: number, protocol: number, counts: SourceCounts): number {
    this.#shares.add(counts);
    this.#endpoints.retain(source);
    this.#endpoints.retain(destination);
    const labels = labelsOf(this.#endpoints.get(source), this.#endpoints.get(destination), protocol);
    return this.#append(source, destination, protocol, labels);
  }

  #otherRow(source: number, destination: number, protocol: number): number {
    const labels = labelsOf(this.#endpoints.get(source), this.#endpoints.get(destination), protocol);
    const id = this.#other.get(otherName(labels, protocol));
    if (id !== undefined) return this.#index.find(NO_ENDPOINT, id, protocol);
    return this.#newOther(labels, protocol);
  }

  #newOther({ dst_ip_type, cross_zone, scope }: OtherKind, protocol: number): number {
    const id = this.#nextId;
    const kind = { dst_ip_type, cross_zone, scope };
    this.#other.set(otherName(kind, protocol), id);
    this.#otherKinds.set(id, kind);
    return this.#append(NO_ENDPOINT, id, protocol, otherLabels({ ...kind, protocol }));
  }

  #append(source: number, destination: number, protocol: number, labels: SeriesLabels): number {
    const row = this.#index.append(source, destination, protocol);
    this.#totals.reserve(this.#index.capacity);
    this.#totals.reset(row);
    this.#series.push({ id: this.#nextId++, labels });
    this.#snapshotSeries = undefined;
    return row;
  }

  #evictAllBut(kept: Uint32Array): void {
    const evicted = new Set(this.#series);
    const series = Array.from(kept, (row) => this.#series[row]!);
    for (const it of series) evicted.delete(it);
    this.#evicted.push(...evicted);
    this.#releaseAllBut(kept);
    this.#shares.sweep();
    this.#index.compact(kept);
    this.#totals.compact(kept);
    this.#series = series;
    this.#snapshotSeries = undefined;
  }

  #releaseAllBut(kept: Uint32Array): void {
    const { rows, source, destination } = this.#index;
    for (let row = 0, next = 0; row < rows; row++) {
      if (row === kept[next]) {
        next++;
      } else if (source[row] === NO_ENDPOINT) {
        for (const [name, id] of this.#other) if (id === destination[row]) this.#other.delete(name);
        this.#otherKinds.delete(destination[row]!);
      } else {
        this.#shares.remove(this.#shares.of(this.#endpoints.get(source[row]!).end.owner));
        this.#endpoints.release(source[row]!);
        this.#endpoints.release(destination[row]!);
      }
    }
  }
}

function otherName({ dst_ip_type, cross_zone, scope }: OtherKind, protocol: number): string {
  return `${dst_ip_type} ${cross_zone} ${scope} ${protocol}`;
}
