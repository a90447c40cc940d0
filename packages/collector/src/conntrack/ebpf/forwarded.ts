import { KEY_WORDS, STRIDE } from '../record.ts';
import type { MovedConnection } from './nat-connections.ts';
import { countersOf, writeCounters } from './record-words.ts';

interface Forwarded {
  readonly record: Uint32Array;
  readonly totals: Totals;
  /** What the dump of this read shows more, and that of the read before. */
  fresh: Totals;
  held: Totals;
  readonly hasSocketHere: () => boolean;
}

/**
 * Connections that this node forwards with another source, and that have no socket here at either end: as conntrack counts them.
 * Whether one has a socket here shows in the read of the map that follows: until then what it moved is held.
 */
export class ForwardedConnections {
  /** By number of the connection. */
  #all = new Map<number, Forwarded>();
  /** What a process before this one has handed over, by key of the record. */
  #past = new Map<string, readonly number[]>();

  /** Goes on with records of a process before. @param image `width` words each: key and counters */
  restore(image: Uint32Array, width: number, isForwarded: (at: number) => boolean): void {
    for (let at = 0; at < image.length; at += width)
      if (isForwarded(at)) this.#past.set(keyOf(image, at), countersOf(image, at + KEY_WORDS));
  }

  /** A translated connection moved. */
  note({ words, at, index, amounts, isOld }: MovedConnection, hasSocketHere: () => boolean): void {
    let one = this.#all.get(index);
    if (one === undefined) {
      if (hasSocketHere()) return;
      const past = this.#past.get(keyOf(words, at)) ?? [0, 0, 0, 0];
      const record = words.slice(at, at + STRIDE);
      one = { record, totals: [...past] as Totals, fresh: none(), held: none(), hasSocketHere };
      this.#all.set(index, one);
      if (isOld) {
        // Of one that this process has not seen before, only what is more than what another has handed over.
        if (past.some((total) => total > 0))
          one.fresh = amounts.map((amount, i) => Math.max(0, amount - past[i]!)) as Totals;
        return;
      }
    }
    for (let i = 0; i < 4; i++) one.fresh[i]! += amounts[i]!;
  }

  /** Connections were removed, and have other numbers. */
  renumber(renumbered: Uint32Array): void {
    const moved = [...this.#all].filter(([index]) => renumbered[index] !== 0);
    this.#all = new Map(moved.map(([index, one]) => [renumbered[index]! - 1, one]));
  }

  /** The map was read: what had been held has no socket here, or has. @param deliver gets the record of each connection */
  settle(deliver: (record: Uint32Array) => void): void {
    this.#past.clear();
    for (const [index, one] of this.#all) {
      const hasSocket = one.hasSocketHere();
      for (let i = 0; i < 4; i++) if (!hasSocket) one.totals[i]! += one.held[i]!;
      [one.held, one.fresh] = [one.fresh, none()];
      if (one.totals[0] === 0 && one.totals[2] === 0) {
        if (hasSocket) this.#all.delete(index);
        continue;
      }
      writeCounters(one.record, one.totals);
      deliver(one.record);
    }
  }
}

type Totals = [number, number, number, number];
const none = (): Totals => [0, 0, 0, 0];

function keyOf(words: Uint32Array, at: number): string {
  return words.subarray(at, at + KEY_WORDS).join();
}
