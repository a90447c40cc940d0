import { WORD } from '../conntrack/record.ts';

/**
 * Which connections had counted already when the first read began: what they show then has not been reported, and is not to be.
 *
 *   start time:    ── older: the baseline ──|first read|── counts in full ──|now|── began before the clock was set back: the baseline ──>
 *   without one:   all that the first whole read shows is the baseline
 *
 * Times are ns since the epoch, in two words, as in a record.
 */
export class Baseline {
  #isOpen = true;
  #firstLow = 0;
  #firstHigh = 0;
  #latestLow = 0xffff_ffff;
  #latestHigh = 0xffff_ffff;

  /** @see rebase */
  constructor(firstReadNs: bigint, isOpen: boolean) {
    this.rebase(firstReadNs, isOpen);
  }

  /** No whole read has ended yet: what it shows of connections without a start time is their baseline. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** When the first read began. */
  get firstReadNs(): bigint {
    return (BigInt(this.#firstHigh) << 32n) | BigInt(this.#firstLow);
  }

  /**
   * Another source begins: what its first whole read shows is the baseline, as that of the first was.
   * @param isOpen false: a whole read has ended, and what is not known since has never been seen
   */
  rebase(firstReadNs: bigint, isOpen = true): void {
    this.#isOpen = isOpen;
    this.#firstLow = Number(firstReadNs & 0xffff_ffffn);
    this.#firstHigh = Number(firstReadNs >> 32n);
  }

  /**
   * The clock that start times are in was set back: from this time on they are of connections that began after the first read, also where
   * that began at a later time.
   */
  lower(sinceNs: bigint): void {
    if (sinceNs < this.firstReadNs) this.rebase(sinceNs, this.#isOpen);
  }

  /** What time it is: what the first read shows with a later start began before the clock was set back, and so before the read. */
  set latestStartNs(nowNs: bigint) {
    this.#latestLow = Number(nowNs & 0xffff_ffffn);
    this.#latestHigh = Number(nowNs >> 32n);
  }

  /** A whole read has ended. */
  close(): void {
    this.#isOpen = false;
  }

  /** Whether what a read shows of the connection at `words[at...]`, which is new to us, is its baseline. */
  covers(words: Uint32Array, at: number, hasStart: boolean): boolean {
    return this.#isOpen && (!hasStart || this.isOlder(words, at) || this.#isToCome(words, at));
  }

  /** Its start time lies before the first read. */
  isOlder(words: Uint32Array, at: number): boolean {
    const high = words[at + WORD.identity + 1]!;
    return high < this.#firstHigh || (high === this.#firstHigh && words[at + WORD.identity]! < this.#firstLow);
  }

  /** Its start time is not yet. */
  #isToCome(words: Uint32Array, at: number): boolean {
    const high = words[at + WORD.identity + 1]!;
    return high > this.#latestHigh || (high === this.#latestHigh && words[at + WORD.identity]! > this.#latestLow);
  }
}
