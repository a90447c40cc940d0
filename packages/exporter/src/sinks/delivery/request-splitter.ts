import { Bug } from '@egressd/flow/bug';

/** Units that are tried by themselves where the first request of a frame is refused: none taken, and the fault is not in the units. */
export const PROBES = 8;
/** After so many refused by themselves in a row, the rest of their request waits for the next frame. */
const MAX_ISOLATED_IN_A_ROW = 32;
/** After so many refusals in one frame nothing is isolated any more: what is refused stays refused as a whole. */
export const MAX_REFUSALS = 500;

/** A run of units, `to` exclusive. Where a sink sends items, each of them counts as one. */
export interface Part {
  readonly from: number;
  readonly to: number;
}

/**
 * Which part of a frame to send next, until all is accepted or refused. A refused part is bisected until the refused units are
 * isolated. The number of requests that this can take is bounded: where nothing at all is accepted, a few units spread over the
 * first request are probed, and then the frame is abandoned (a wrong path that answers 400 to everything costs nine requests).
 *
 *   stack, top first   [probe] [probe] [gap of the refused request ...] [rest of the frame that no request has held yet]
 */
export class RequestSplitter {
  /** Units that were refused by themselves. */
  readonly isolated: number[] = [];
  /** Units that wait for the next frame because they were refused with others, and not isolated. */
  notIsolated = 0;
  /** Samples that were accepted. */
  accepted = 0;
  readonly #stack: Part[] = [];
  /** Up to here units have been in a request. */
  #requestedTo = 0;
  #probed = false;
  #isolatedInARow = 0;
  #refusals = 0;

  /** @param remaining what `remaining` was in a former process; undefined: nothing is settled */
  constructor(units: number, remaining: readonly Part[] = [{ from: 0, to: units }]) {
    for (const part of remaining) if (part.to > part.from) this.#stack.push(part);
  }

  /** What is not settled, last first, cut as it was sent. */
  get remaining(): readonly Part[] {
    return this.#stack;
  }

  /** What to send next; undefined: all is settled. */
  get next(): Part | undefined {
    return this.#stack.at(-1);
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
    this.#pop();
    this.accepted += samples;
    if (samples > 0) this.#isolatedInARow = 0;
  }

  /** The next part was refused. Splitting by size isolates nothing, so it is not bounded. */
  refuse(fault: 'content' | 'size'): void {
    const part = this.#pop();
    if (fault === 'content') this.#refusals++;
    if (part.to - part.from === 1) this.#refuseIsolated(part.from);
    else if (fault === 'content' && this.accepted === 0 && !this.#probed) this.#probe(part);
    else if (this.#refusals > MAX_REFUSALS) this.notIsolated += part.to - part.from;
    else this.#bisect(part);
  }

  /** Whatever is sent would be refused: nothing more to send. */
  abandon(): void {
    for (const part of this.#stack) this.notIsolated += part.to - part.from;
    this.#stack.length = 0;
  }

  #bisect(part: Part): void {
    const middle = (part.from + part.to) >>> 1;
    this.#stack.push({ from: middle, to: part.to }, { from: part.from, to: middle });
  }

  #refuseIsolated(unit: number): void {
    this.isolated.push(unit);
    this.#isolatedInARow++;
    if (this.accepted === 0 && this.isolated.length >= PROBES) this.abandon();
    else if (this.#isolatedInARow >= MAX_ISOLATED_IN_A_ROW) this.#abandonRequest();
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
    for (let top = this.next; top !== undefined && top.to <= this.#requestedTo; top = this.next) {
      this.notIsolated += top.to - top.from;
      this.#pop();
    }
  }

  #pop(): Part {
    const part = this.#stack.pop();
    if (part === undefined) throw new Bug('no part is being sent');
    return part;
  }
}
