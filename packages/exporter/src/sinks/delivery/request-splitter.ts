import { Bug } from '@egressd/flow/bug';

/** Units that are tried alone where the first request of a frame is refused: none taken, and the fault is not in the units. */
export const PROBES = 8;
/** After so many refused alone in a row, the rest of their request is left for the next frame. */
export const MAX_ALONE_IN_A_ROW = 32;
/** After so many refusals in one frame nothing is searched any more: what is refused is left as it is. */
export const MAX_REFUSALS = 500;

/** A run of units, `to` exclusive. Where a sink sends items, each of them counts as one. */
export interface Part {
  readonly from: number;
  readonly to: number;
}

/**
 * Which part of a frame to send next, until all is accepted or refused. A refused part is halved until the refused units stand
 * alone. The number of requests that this can take is bounded: where nothing at all is accepted, a few units spread over the
 * first request are tried alone, and then the frame is given up (a wrong path that answers 400 to everything costs nine requests).
 *
 *   stack, top first   [probe] [probe] [gap of the refused request ...] [rest of the frame that no request has held yet]
 */
export class Parts {
  /** Units that were refused alone. */
  readonly alone: number[] = [];
  /** Units that are left for the next frame though nobody looked at them alone. */
  unsearched = 0;
  /** Samples that were accepted. */
  accepted = 0;
  readonly #stack: Part[] = [];
  /** Up to here units have been in a request. */
  #fresh = 0;
  #spread = false;
  #aloneInARow = 0;
  #refusals = 0;

  /** @param left what `left` was in a life before; undefined: nothing is settled */
  constructor(units: number, left: readonly Part[] = [{ from: 0, to: units }]) {
    for (const part of left) if (part.to > part.from) this.#stack.push(part);
  }

  /** What is not settled, last first, cut as it was sent. */
  get left(): readonly Part[] {
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
    this.#fresh = Math.max(this.#fresh, end);
  }

  /** The next part was accepted, with so many samples; where it had none nobody was asked. */
  accept(samples: number): void {
    this.#pop();
    this.accepted += samples;
    if (samples > 0) this.#aloneInARow = 0;
  }

  /** The next part was refused. Splitting by size is no search, so it is not bounded as one. */
  refuse(fault: 'content' | 'size'): void {
    const part = this.#pop();
    if (fault === 'content') this.#refusals++;
    if (part.to - part.from === 1) this.#refuseAlone(part.from);
    else if (fault === 'content' && this.accepted === 0 && !this.#spread) this.#spreadOver(part);
    else if (this.#refusals > MAX_REFUSALS) this.unsearched += part.to - part.from;
    else this.#halve(part);
  }

  /** Whatever is sent would be refused: nothing more to send. */
  giveUp(): void {
    for (const part of this.#stack) this.unsearched += part.to - part.from;
    this.#stack.length = 0;
  }

  #halve(part: Part): void {
    const middle = (part.from + part.to) >>> 1;
    this.#stack.push({ from: middle, to: part.to }, { from: part.from, to: middle });
  }

  #refuseAlone(unit: number): void {
    this.alone.push(unit);
    this.#aloneInARow++;
    if (this.accepted === 0 && this.alone.length >= PROBES) this.giveUp();
    else if (this.#aloneInARow >= MAX_ALONE_IN_A_ROW) this.#leaveRequest();
  }

  /** Single units at even distances go first, then what lies between them. */
  #spreadOver(part: Part): void {
    this.#spread = true;
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

  /** Leaves what was in the request before; what no request has held yet goes on. */
  #leaveRequest(): void {
    this.#aloneInARow = 0;
    for (let top = this.next; top !== undefined && top.to <= this.#fresh; top = this.next) {
      this.unsearched += top.to - top.from;
      this.#pop();
    }
  }

  #pop(): Part {
    const part = this.#stack.pop();
    if (part === undefined) throw new Bug('no part is being sent');
    return part;
  }
}
