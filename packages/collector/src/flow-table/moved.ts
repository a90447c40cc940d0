/**
 * What moved in a block: entry i is one connection, `pairs[i]` the number of its pair, and four doubles what it moved.
 *
 *   pairs    | p0 | p1 | ...
 *   counters | txBytes0 | txPackets0 | rxBytes0 | rxPackets0 | txBytes1 | ...
 */
export interface Moved {
  count: number;
  pairs: Uint32Array;
  counters: Float64Array;
}

/** The same, filled one by one and used again for every block. */
export class MovedList implements Moved {
  count = 0;
  pairs = new Uint32Array();
  counters = new Float64Array();

  /** Empties it, with room for so many. */
  begin(room: number): void {
    this.count = 0;
    this.reserve(room);
  }

  /** Makes room for so many in all, those that are in it included. */
  reserve(room: number): void {
    if (this.pairs.length >= room) return;
    const [pairs, counters] = [new Uint32Array(room), new Float64Array(room * 4)];
    pairs.set(this.pairs.subarray(0, this.count));
    counters.set(this.counters.subarray(0, 4 * this.count));
    [this.pairs, this.counters] = [pairs, counters];
  }

  /** Adds what one connection moved, for which there is room. */
  push(pair: number, txPackets: number, txBytes: number, rxPackets: number, rxBytes: number): void {
    const { counters } = this;
    const to = 4 * this.count;
    counters[to] = txBytes;
    counters[to + 1] = txPackets;
    counters[to + 2] = rxBytes;
    counters[to + 3] = rxPackets;
    this.pairs[this.count++] = pair;
  }
}
