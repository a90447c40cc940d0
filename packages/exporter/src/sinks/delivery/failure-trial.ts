import type { Part } from './part.ts';

/** Where it has accepted something in between. */
const MAX_FAILED_IN_A_ROW = 32;

/**
 * A receiver has answered 5xx to a request for minutes. Is it down, or does one series in the request break it? Some units go alone: where
 * one of them is accepted the receiver works, and those that it still fails with are isolated like refused ones. Where all fail it is
 * down, and everything stays as it was.
 *
 *   stack, bottom first   [what is not on trial] | depth | [gaps] [probes]
 */
export class FailureTrial {
  /** Height of the stack below what is on trial. */
  readonly depth: number;
  /** Samples that were accepted. */
  accepted = 0;
  /** Units that it failed with by themselves. */
  readonly failed: number[] = [];
  readonly #probes: number;
  #failedInARow = 0;

  /** @param probes units that are tried alone first */
  constructor(depth: number, probes: number) {
    this.depth = depth;
    this.#probes = probes;
  }

  accept(samples: number): void {
    this.accepted += samples;
    if (samples > 0) this.#failedInARow = 0;
  }

  fail(unit: number): void {
    this.failed.push(unit);
    this.#failedInARow++;
  }

  /** So many failed in a row that it may be the receiver: it is where nothing was accepted before. */
  get everythingFails(): boolean {
    return this.#failedInARow >= (this.accepted === 0 ? this.#probes : MAX_FAILED_IN_A_ROW);
  }

  /**
   * Ends the trial as if it had not been, but for what was accepted. Takes what is on trial off the stack.
   * @returns what is still to be sent, to be put there instead, in as few parts as there can be
   */
  restore(stack: Part[]): Part[] {
    const open = [...stack.splice(this.depth), ...this.failed.map((from) => ({ from, to: from + 1 }))];
    this.failed.length = 0;
    open.sort((a, b) => b.from - a.from);
    const merged: Part[] = [];
    for (const part of open) {
      const later = merged.at(-1);
      if (later !== undefined && later.from === part.to) merged.splice(-1, 1, { from: part.from, to: later.to });
      else merged.push(part);
    }
    return merged;
  }
}
