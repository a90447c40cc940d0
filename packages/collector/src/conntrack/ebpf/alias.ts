import type { Amounts } from './nat-connections.ts';

/** Reads after which what conntrack has counted beyond the sockets is no more expected of them (the last packets of connections). */
const CLAIM_READS = 3;

type Totals = [number, number, number, number];

/** Who is really behind an alias, and how much of the pair's traffic is with it. */
export interface Part {
  /** Four words: the address. */
  readonly remote: Uint32Array;
  /** Tells the parts of an alias apart. */
  readonly number: number;
  /** What was assigned to it: packets and bytes from the local end, then to it. */
  readonly totals: Totals;
  /** What conntrack has counted, and is not assigned yet. */
  readonly claims: Totals;
  claimedAtRead: number;
  /** Its share of what conntrack does not count, in this read. */
  weight: number;
  /** Who is behind the alias sees another source, behind SNAT. */
  readonly hasSourceNat: boolean;
  /** The other end has sockets here: its pair counts the same packets. */
  readonly isCountedElsewhere: () => boolean;
}

/**
 * A pair of which one end is an address that is translated before the other end sees it: what the sockets of the local end have counted
 * is assigned to those that conntrack says are behind it.
 *
 *   counted by sockets  ─────────────|──────── more ────────|
 *   assigned            parts | rest |  claims of parts ... | by weight, else to the rest
 *
 * Sockets count, conntrack names: nothing is assigned that was not counted here, so the sum is exact whatever conntrack shows. And each
 * part gets just what conntrack has counted of it, since that is read later: it claims no less than the sockets had counted by then.
 */
export class Alias {
  /** Four words. */
  readonly local: Uint32Array;
  readonly parts = new Map<string, Part>();
  /** What no part has: the alias's own. */
  rest: Totals = [0, 0, 0, 0];
  /** The entry of the map that was seen last. */
  born: bigint | undefined;
  /** Records of a process before this one. Those of parts do not move any more, and stay for as long as the entry does. */
  past: Uint32Array[] = [];
  #last: Totals = [0, 0, 0, 0];

  constructor(local: Uint32Array) {
    this.local = local;
  }

  /** Goes on with an entry: `handedOver` of it is not to be assigned, of which `rest` is the alias's own. */
  begin(born: bigint, handedOver: Amounts, rest: Amounts): void {
    this.born = born;
    this.#last = [...handedOver];
    this.rest = [...rest];
    for (const { totals } of this.parts.values()) totals.fill(0);
  }

  /** Assigns what the pair has counted more. @param totals of its entry */
  assign(totals: Amounts, read: number): void {
    const parts = [...this.parts.values()];
    for (let i = 0; i < 4; i++) this.#assignOne(parts, i, totals[i]!);
    for (const part of parts) {
      if (read - part.claimedAtRead >= CLAIM_READS) part.claims.fill(0);
      part.weight = 0;
    }
  }

  #assignOne(parts: readonly Part[], i: number, total: number): void {
    let left = Math.max(0, total - this.#last[i]!);
    this.#last[i] = total;
    for (const part of parts) {
      const got = Math.min(left, part.claims[i]!);
      part.claims[i]! -= got;
      part.totals[i]! += got;
      left -= got;
    }
    let weight = parts.reduce((sum, part) => sum + part.weight, 0);
    for (const part of parts) {
      if (left === 0 || part.weight === 0) continue;
      const got = Math.round((left * part.weight) / weight);
      weight -= part.weight;
      part.totals[i]! += got;
      left -= got;
    }
    this.rest[i]! += left;
  }
}
