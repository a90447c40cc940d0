import type { PodLink } from './source.ts';

/** Looks between the first and the last of a window. */
const WINDOW_LOOKS = 5;
/** What pods have to move in a window before anything follows from it. */
const MIN_BYTES = 100 * 2 ** 20;
/** Of ten bytes that pods moved, conntrack counted less than one. */
const FACTOR = 10;

/** What moved on pods' links: from the pods (rx), to them (tx). */
interface Moved {
  readonly rx: number;
  readonly tx: number;
}

interface Look {
  readonly links: ReadonlyMap<number, PodLink>;
  /** Bytes counted by the last whole read. */
  readonly counted: number;
  /** Number of that read, and of the last one that had begun. */
  readonly read: number;
  readonly begun: number;
}

/**
 * Whether what pods move passes conntrack by: the bytes of their links beside those that conntrack counted. That shows any way around it
 * (eBPF data planes, tc redirects, NOTRACK), and is a measurement and no guess from names.
 *
 *   look      0       1   ...   WINDOW_LOOKS   + 1
 *   links     |------ moved ---------|
 *   counted   |------ counted ------------------|     later, so that a whole read that began after the links' last look is in it
 *
 * It errs towards silence. All that conntrack counts stands against the pods' bytes, the node's own too. A packet passes two links of pods at
 * the most, with 14 bytes of a header that conntrack does not count: threefold, for the smallest packets, and not tenfold. Pods that
 * flood what a policy drops move much one way only, and conntrack has no entry of it: so the lesser way alone has to exceed what was
 * counted. Links of pods that come or go in the window are left out. Where pods move little, the last finding stays.
 */
export class PodTraffic {
  #begun = 0;
  #read = 0;
  #counted: number | undefined;
  #looks: Look[] = [];
  #found: boolean | undefined;

  /** A read of all connections begins. */
  beginRead(): void {
    this.#begun++;
  }

  /** It ended. @param counted bytes counted since the start; undefined: not all that conntrack has seen */
  endRead(counted: number | undefined): void {
    this.#read = this.#begun;
    this.#counted = counted;
  }

  /**
   * To be called at even intervals, longer than a read.
   * @param links of the pods; undefined: not known
   * @returns whether pods' traffic passes conntrack by; undefined: nothing has shown it yet
   */
  look(links: readonly PodLink[] | undefined): boolean | undefined {
    if (links === undefined || this.#counted === undefined) {
      this.#looks = [];
      return this.#found;
    }
    const byIndex = new Map(links.map((link) => [link.index, link]));
    this.#looks.push({ links: byIndex, counted: this.#counted, read: this.#read, begun: this.#begun });
    if (this.#looks.length === WINDOW_LOOKS + 2) {
      this.#found = judge(this.#looks) ?? this.#found;
      this.#looks.shift();
    }
    return this.#found;
  }
}

/** @returns undefined where nothing follows */
function judge(looks: readonly Look[]): boolean | undefined {
  const [first, end, last] = [looks[0]!, looks.at(-2)!, looks.at(-1)!];
  // The counters of the links are newer than what was counted.
  if (last.read <= end.begun) return undefined;
  const { rx, tx } = movedBetween(first.links, end.links);
  const counted = last.counted - first.counted;
  if (rx + tx < MIN_BYTES) return undefined;
  if (rx + tx <= FACTOR * counted) return false;
  return Math.min(rx, tx) > counted ? true : undefined;
}

function movedBetween(before: Look['links'], after: Look['links']): Moved {
  let [rx, tx] = [0, 0];
  for (const [index, link] of after) {
    const was = before.get(index);
    if (was === undefined) continue;
    rx += Math.max(0, link.rxBytes - was.rxBytes);
    tx += Math.max(0, link.txBytes - was.txBytes);
  }
  return { rx, tx };
}
