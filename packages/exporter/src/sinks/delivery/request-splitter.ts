import { Bug } from '@egressd/flow/bug';
import { FailureTrial } from './failure-trial.ts';
import type { Part } from './part.ts';

/** Units that are tried by themselves where the first request of a frame is refused: none taken, and the fault is not in the units. */
export const PROBES = 8;
/** Refused by themselves, they say that nothing is taken, where a refused request may have been stored in part: that takes more. */
const CAREFUL_REFUSED = 32;
/** After so many refused by themselves in a row, the rest of their request waits for the next frame. */
const MAX_ISOLATED_IN_A_ROW = 32;
/** After so many refusals in one frame nothing is isolated any more: what is refused stays refused as a whole. */
export const MAX_REFUSALS = 500;
/** The same where what is not isolated is in doubt: more than a request of the largest size can cause. */
export const MAX_CAREFUL_REFUSALS = 20_000;
/** Once so many suspects were refused in a row, the others wait. */
const MAX_REFUSED_SUSPECTS = 8;

export interface SplitterOptions {
  /** What `remaining` was in a former process; not set: nothing is settled. */
  readonly remaining?: readonly Part[] | undefined;
  /** From here on units are suspects: refused before. They go in requests of their own, one first, and more as they are accepted. */
  readonly suspectsFrom?: number;
  /**
   * What a refused request may have stored does harm if it goes again with another time (deltas): what is refused is isolated to the end,
   * and what cannot be is counted (`inDoubt`).
   */
  readonly careful?: boolean;
  /** The receiver took nothing of the frame before: units by themselves go first, which leave nothing in doubt. */
  readonly probeFirst?: boolean;
}

/**
 * Which part of a frame to send next, until all is accepted or refused. A refused part is bisected until the refused units are
 * isolated. The number of requests that this can take is bounded: where nothing at all is accepted, a few units spread over the
 * first request are probed, and then the frame is abandoned (a wrong path that answers 400 to everything costs nine requests).
 *
 *   stack, top first   [probe] [probe] [gap of the refused request ...] [rest of the frame that no request has held yet] [suspects]
 */
export class RequestSplitter {
  /** Units that were refused by themselves. */
  readonly isolated: number[] = [];
  /** Units that wait for the next frame because they were refused with others, and not isolated. */
  notIsolated = 0;
  /** Of those, units that were in a refused request: the receiver may have stored some of them. */
  readonly inDoubt: Part[] = [];
  /** Of those that were refused by themselves, units that the receiver failed with (5xx): it may have stored them. */
  failed = 0;
  /** Suspects that were not sent. */
  postponed = 0;
  /** Samples that were accepted. */
  accepted = 0;
  readonly #stack: Part[] = [];
  readonly #careful: boolean;
  readonly #suspectsFrom: number;
  /** Up to here units have been in a request. */
  #requestedTo = 0;
  /** Up to here units were refused together with others. */
  #refusedTo = 0;
  #probed = false;
  #isolatedInARow = 0;
  #refusals = 0;
  #suspectsAtOnce = 1;
  #refusedSuspects = 0;
  #trial: FailureTrial | undefined;

  constructor(units: number, options: SplitterOptions = {}) {
    const { remaining, suspectsFrom = units, careful = false, probeFirst = false } = options;
    this.#careful = careful;
    this.#suspectsFrom = remaining === undefined ? suspectsFrom : Number.POSITIVE_INFINITY;
    const parts = remaining ?? [
      { from: suspectsFrom, to: units },
      { from: 0, to: suspectsFrom },
    ];
    for (const part of parts) if (part.to > part.from) this.#stack.push(part);
    if (probeFirst && remaining === undefined && suspectsFrom > 1) this.#probe(this.#pop());
  }

  /** What is not settled, last first, cut as it was sent. */
  get remaining(): readonly Part[] {
    const failed = this.#trial?.failed ?? [];
    return failed.length === 0 ? this.#stack : [...this.#stack, ...failed.map((from) => ({ from, to: from + 1 }))];
  }

  /** What to send next; undefined: all is settled. */
  get next(): Part | undefined {
    const top = this.#stack.at(-1);
    if (top === undefined || top.from < this.#suspectsFrom || top.to <= top.from + this.#suspectsAtOnce) return top;
    return { from: top.from, to: top.from + this.#suspectsAtOnce };
  }

  /** Whether it is being found out if the receiver fails with everything, or because of something in a request. */
  get onTrial(): boolean {
    return this.#trial !== undefined;
  }

  /** Whether a refused request held a part, and its receiver may have stored that. */
  mayBeStored(part: Part): boolean {
    return this.#careful && part.from < this.#refusedTo;
  }

  /** Only the units before `end` found room in the request. */
  cut(end: number): void {
    const part = this.#pop();
    if (end < part.to) this.#stack.push({ from: end, to: part.to });
    this.#stack.push({ from: part.from, to: end });
    this.#requestedTo = Math.max(this.#requestedTo, end);
  }

  /** The next part was accepted, with so many samples; one without any was not sent. */
  accept(samples: number): void {
    const part = this.#pop();
    this.accepted += samples;
    if (samples > 0) {
      this.#isolatedInARow = 0;
      this.#refusedSuspects = 0;
      if (part.from >= this.#suspectsFrom) this.#suspectsAtOnce *= 2;
    }
    this.#trial?.accept(samples);
    this.#endTrial();
  }

  /** The next part was refused. Splitting by size isolates nothing, so it is not bounded. */
  refuse(fault: 'content' | 'size'): void {
    const part = this.#pop();
    const units = part.to - part.from;
    if (fault === 'content') this.#refusals++;
    if (fault === 'content' && units > 1) this.#refusedTo = Math.max(this.#refusedTo, part.to);
    const most = this.#careful ? MAX_CAREFUL_REFUSALS : MAX_REFUSALS;
    if (units === 1) this.#refuseIsolated(part.from);
    else if (part.from >= this.#suspectsFrom) this.#bisect(part);
    else if (fault === 'content' && this.accepted === 0 && !this.#probed) this.#probe(part);
    else if (this.#refusals > most) this.#leave(part);
    else this.#bisect(part);
    this.#endTrial();
  }

  /** The receiver has failed for long with the next part: is it because of one of its units? */
  failing(): void {
    const part = this.#pop();
    const begins = this.#trial === undefined;
    this.#trial ??= new FailureTrial(this.#stack.length, PROBES);
    if (part.to - part.from === 1) this.#trial.fail(part.from);
    else if (begins) this.#probe(part);
    else this.#bisect(part);
    if (this.#trial.everythingFails) this.#judge(this.#trial);
    else this.#endTrial();
  }

  /** Whatever is sent would be refused: nothing more to send. */
  abandon(): void {
    for (const part of this.#stack) this.#leave(part);
    this.#stack.length = 0;
  }

  #leave(part: Part): void {
    this.notIsolated += part.to - part.from;
    const to = Math.min(part.to, this.#refusedTo);
    if (to > part.from) this.inDoubt.push({ from: part.from, to });
  }

  #bisect(part: Part): void {
    const middle = (part.from + part.to) >>> 1;
    this.#stack.push({ from: middle, to: part.to }, { from: part.from, to: middle });
  }

  #refuseIsolated(unit: number): void {
    this.isolated.push(unit);
    this.#isolatedInARow++;
    if (unit >= this.#suspectsFrom) this.#refuseSuspect();
    else if (this.accepted === 0 && this.isolated.length >= this.#probesNeeded) this.abandon();
    else if (!this.#careful && this.#isolatedInARow >= MAX_ISOLATED_IN_A_ROW) this.#abandonRequest();
  }

  /** So many units refused by themselves say that nothing is taken. */
  get #probesNeeded(): number {
    return this.#careful && this.#refusedTo > 0 ? CAREFUL_REFUSED : PROBES;
  }

  #refuseSuspect(): void {
    this.#suspectsAtOnce = 1;
    this.#refusedSuspects++;
    if (this.#refusedSuspects < MAX_REFUSED_SUSPECTS) return;
    // Those that were in a request are isolated to the end, the others have not been sent.
    for (let i = this.#stack.length - 1; i >= 0; i--) {
      const { from, to } = this.#stack[i]!;
      if (to <= this.#requestedTo) continue;
      this.postponed += to - from;
      this.#stack.splice(i, 1);
    }
  }

  /** Single units at even distances go first, then what lies between them. */
  #probe(part: Part): void {
    this.#probed = true;
    const units = part.to - part.from;
    const probes = Math.min(PROBES, units);
    const singles: Part[] = [];
    let end = part.to;
    for (let probe = probes - 1; probe >= 0; probe--) {
      const unit = part.from + Math.floor((probe * units) / probes);
      if (unit + 1 < end) this.#stack.push({ from: unit + 1, to: end });
      singles.push({ from: unit, to: unit + 1 });
      end = unit;
    }
    this.#stack.push(...singles);
  }

  /** Abandons what was in a request already; what no request has held yet goes on. */
  #abandonRequest(): void {
    this.#isolatedInARow = 0;
    for (let top = this.#stack.at(-1); top !== undefined && top.to <= this.#requestedTo; top = this.#stack.at(-1))
      this.#leave(this.#pop());
  }

  #endTrial(): void {
    if (this.#trial !== undefined && this.#stack.length <= this.#trial.depth) this.#judge(this.#trial);
  }

  /** Where it has accepted something, what it failed with is refused; what was not tried goes on. */
  #judge(trial: FailureTrial): void {
    if (trial.accepted > 0) {
      this.isolated.push(...trial.failed);
      this.failed += trial.failed.length;
    } else this.#stack.push(...trial.restore(this.#stack));
    this.#trial = undefined;
  }

  #pop(): Part {
    const part = this.#stack.pop();
    if (part === undefined) throw new Bug('no part is being sent');
    return part;
  }
}
