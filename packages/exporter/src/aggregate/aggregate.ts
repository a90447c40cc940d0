import { Bug } from '@egressd/flow/bug';
import type { Joined, JoinedPart } from '../enrich/enrich.ts';
import { KEPT } from '../enrich/verdict.ts';
import { Endpoints, NO_ENDPOINT } from './endpoints.ts';
import type { AggregateImage, OtherKind, RestoredTotals } from './image.ts';
import { labelsOf } from './labels.ts';
import { SeriesIndex } from './series-index.ts';
import {
  COUNTERS,
  HIGH_UNIT,
  otherLabels,
  type Position,
  type Series,
  type SeriesLabels,
  type Snapshot,
} from './snapshot.ts';

/** Live series that are kept. What would be one more is added to a `~other` series. */
export const MAX_SERIES = 1_000_000;
/** A series that has not grown for this long is evicted, in milliseconds. */
export const IDLE_MS = 15 * 60_000;
/**
 * Least time between two snapshots, whatever the clock says: once it was ahead and is set right, time goes on so until it has caught up.
 * There must be room for the zero of a new series after the one and before the other.
 */
const ROOM_MS = 2;

/** Doubles a series: low and high of four counters, one cache line. */
const STRIDE = 2 * COUNTERS.length;

/** What became of a batch. */
export interface AddedFlows {
  /** Flows that were added: directions, not pairs. */
  readonly flows: number;
  /** Of these, those that had to go to a `~other` series. */
  readonly folded: number;
}

/**
 * Running totals of all series.
 *
 *   index    source id | destination id | protocol           row -> what it is the total of
 *   totals   txBytes low, high | txPackets low, high | rxBytes low, high | rxPackets low, high
 *   changed  when it last grew
 *   series   the object that sinks know it by
 *
 * Rows are dense and in order of age. A `~other` series has no endpoints: its source id is 0 and its destination id stands for
 * its labels.
 *
 * Time within only goes forward, whatever the clock does: what grows after a snapshot has at least that snapshot's time, what
 * is in a snapshot has an earlier one. So a series has been accepted at its last value once a snapshot later than its last
 * growth has been.
 */
export class Aggregate {
  readonly #maxSeries: number;
  readonly #endpoints = new Endpoints();
  readonly #index = new SeriesIndex();
  /** By kind and protocol: the destination id of the series. */
  readonly #other = new Map<string, number>();
  /** By that id. */
  readonly #otherKinds = new Map<number, OtherKind>();
  #totals = new Float64Array(this.#index.capacity * STRIDE);
  #changed = new Float64Array(this.#index.capacity);
  #series: Series[] = [];
  /** The rows' series as last given away; undefined once there are others. */
  #given: readonly Series[] | undefined;
  #evicted: Series[] = [];
  #nextId = 1;
  #timeMs = 0;

  constructor({ maxSeries = MAX_SERIES }: { readonly maxSeries?: number } = {}) {
    this.#maxSeries = maxSeries;
  }

  /** Live series. */
  get size(): number {
    return this.#index.rows;
  }

  /** Distinct ends that live series have. */
  get endpoints(): number {
    return this.#endpoints.size;
  }

  /** Adds the flows of a batch. */
  add(joined: Joined, nowMs: number): AddedFlows {
    this.#timeMs = Math.max(this.#timeMs, nowMs);
    let [flows, folded] = [0, 0];
    for (const part of joined.parts) {
      const added = this.#addPart(part);
      flows += added.flows;
      folded += added.folded;
    }
    return { flows, folded };
  }

  /** All live series and their totals now, with what has been evicted since the last snapshot. */
  snapshot(nowMs: number, position: Position): Snapshot {
    this.#timeMs = Math.max(this.#timeMs + ROOM_MS, nowMs);
    this.#given ??= this.#series.slice();
    const evicted = this.#evicted;
    this.#evicted = [];
    const [txBytes, txPackets, rxBytes, rxPackets] = [0, 1, 2, 3].map((counter) => this.#column(counter));
    const totals = { txBytes: txBytes!, txPackets: txPackets!, rxBytes: rxBytes!, rxPackets: rxPackets! };
    return { timeMs: this.#timeMs, series: this.#given, totals, evicted, position };
  }

  /** All that is known, as it is in the snapshot that was just taken. Valid until anything else is asked for. */
  image({ timeMs, totals }: Snapshot): AggregateImage {
    if (timeMs !== this.#timeMs) throw new Bug('an image of a snapshot that is not the newest');
    const rows = this.#index.rows;
    const { ends, places } = this.#endpoints.list();
    // Ends of `~other` series are no places.
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
      changed: this.#changed.subarray(0, rows),
      totals,
      others: this.#otherKinds,
    };
  }

  /** Goes on from an image, before anything was added. @returns what it stands at */
  restore(image: AggregateImage): RestoredTotals {
    if (this.#nextId !== 1) throw new Bug('restored over what was counted already');
    this.#timeMs = image.timeMs;
    const ids = image.endpoints.map((end) => this.#endpoints.idOf(end));
    for (let row = 0; row < image.ids.length; row++) {
      this.#nextId = image.ids[row]!;
      this.#restoreRow(image, row, ids);
      this.#changed[row] = image.changed[row]!;
      for (const [counter, name] of COUNTERS.entries()) {
        this.#totals[row * STRIDE + 2 * counter] = image.totals[name].low[row]!;
        this.#totals[row * STRIDE + 2 * counter + 1] = image.totals[name].high[row]!;
      }
    }
    this.#nextId = image.nextId;
    for (const id of new Set(ids)) this.#endpoints.drop(id);
    this.#given = this.#series.slice();
    return { series: this.#given, totals: image.totals };
  }

  #restoreRow(image: AggregateImage, row: number, ids: readonly number[]): void {
    const [source, destination, protocol] = [image.source[row]!, image.destination[row]!, image.protocol[row]!];
    if (source !== NO_ENDPOINT) this.#newRow(ids[source - 1]!, ids[destination - 1]!, protocol);
    else this.#newOther(image.others.get(destination)!, protocol);
  }

  /**
   * Ends series that have not grown for `IDLE_MS` and whose last value every sink has accepted.
   * @param acceptedUpToMs time of the latest snapshot that every sink has accepted (it, or a later one in its place)
   * @returns how many were ended
   */
  evictIdle(nowMs: number, acceptedUpToMs: number): number {
    const idleSince = Math.min(Math.max(this.#timeMs, nowMs) - IDLE_MS, acceptedUpToMs);
    const rows = this.#index.rows;
    const kept = new Uint32Array(rows);
    let count = 0;
    for (let row = 0; row < rows; row++) if (this.#changed[row]! >= idleSince) kept[count++] = row;
    if (count === rows) return 0;
    this.#keep(kept.subarray(0, count));
    return rows - count;
  }

  #addPart({ flows, endpoints, verdicts }: JoinedPart): AddedFlows {
    const { rows, source, destination, protocol, txBytes, txPackets, rxBytes, rxPackets } = flows;
    // By index in the part's dictionary: the endpoint's id, where a flow has needed it already.
    const ids = new Uint32Array(endpoints.length);
    let [added, folded] = [0, 0];
    const rowOf = (from: number, to: number, proto: number): number => {
      if (ids[from] === NO_ENDPOINT) ids[from] = this.#endpoints.idOf(endpoints[from]!);
      if (ids[to] === NO_ENDPOINT) ids[to] = this.#endpoints.idOf(endpoints[to]!);
      added++;
      const found = this.#index.find(ids[from]!, ids[to]!, proto);
      if (found >= 0) return found;
      if (this.#index.rows - this.#other.size < this.#maxSeries) return this.#newRow(ids[from]!, ids[to]!, proto);
      folded++;
      return this.#otherRow(ids[from]!, ids[to]!, proto);
    };
    for (let row = 0; row < rows; row++) {
      const s = source[row]!;
      const d = destination[row]!;
      const p = protocol[row]!;
      if (verdicts[s] === KEPT)
        this.#addTo(rowOf(s, d, p), txBytes[row]!, txPackets[row]!, rxBytes[row]!, rxPackets[row]!);
      if (verdicts[d] === KEPT)
        this.#addTo(rowOf(d, s, p), rxBytes[row]!, rxPackets[row]!, txBytes[row]!, txPackets[row]!);
    }
    // Ends of folded flows may be used by no series.
    if (folded > 0) for (const id of new Set(ids)) if (id !== NO_ENDPOINT) this.#endpoints.drop(id);
    return { flows: added, folded };
  }

  #addTo(row: number, txBytes: number, txPackets: number, rxBytes: number, rxPackets: number): void {
    const totals = this.#totals;
    const at = row * STRIDE;
    addExactly(totals, at, txBytes);
    addExactly(totals, at + 2, txPackets);
    addExactly(totals, at + 4, rxBytes);
    addExactly(totals, at + 6, rxPackets);
    this.#changed[row] = this.#timeMs;
  }

  #newRow(source: number, destination: number, protocol: number): number {
    this.#endpoints.use(source);
    this.#endpoints.use(destination);
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
    if (this.#index.capacity > this.#changed.length) {
      this.#totals = longer(this.#totals, this.#index.capacity * STRIDE);
      this.#changed = longer(this.#changed, this.#index.capacity);
    }
    this.#totals.fill(0, row * STRIDE, (row + 1) * STRIDE);
    this.#series.push({ id: this.#nextId++, labels });
    this.#given = undefined;
    return row;
  }

  #column(counter: number): { low: Float64Array; high: Float64Array } {
    const rows = this.#index.rows;
    const totals = this.#totals;
    const [low, high] = [new Float64Array(rows), new Float64Array(rows)];
    for (let row = 0, at = 2 * counter; row < rows; row++, at += STRIDE) {
      low[row] = totals[at]!;
      high[row] = totals[at + 1]!;
    }
    return { low, high };
  }

  /** Closes the gaps that all other rows leave. */
  #keep(kept: Uint32Array): void {
    const gone = new Set(this.#series);
    const series = Array.from(kept, (row) => this.#series[row]!);
    for (const it of series) gone.delete(it);
    this.#evicted.push(...gone);
    this.#releaseAllBut(kept);
    this.#index.keep(kept);
    for (let row = 0; row < kept.length; row++) {
      this.#totals.copyWithin(row * STRIDE, kept[row]! * STRIDE, (kept[row]! + 1) * STRIDE);
      this.#changed[row] = this.#changed[kept[row]!]!;
    }
    this.#series = series;
    this.#given = undefined;
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
        this.#endpoints.release(source[row]!);
        this.#endpoints.release(destination[row]!);
      }
    }
  }
}

function otherName({ dst_ip_type, cross_zone, scope }: OtherKind, protocol: number): string {
  return `${dst_ip_type} ${cross_zone} ${scope} ${protocol}`;
}

/** Adds to the total at `low`, `high` beside it: no sum on the way reaches 2^53. */
function addExactly(totals: Float64Array, at: number, value: number): void {
  let rest = value;
  if (rest >= HIGH_UNIT) {
    totals[at + 1] = totals[at + 1]! + 1;
    rest -= HIGH_UNIT;
  }
  rest += totals[at]!;
  if (rest >= HIGH_UNIT) {
    totals[at + 1] = totals[at + 1]! + 1;
    rest -= HIGH_UNIT;
  }
  totals[at] = rest;
}

function longer(from: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const into = new Float64Array(length);
  into.set(from);
  return into;
}
