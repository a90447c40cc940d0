import { type ClockStep, ClockSteps, type Clocks, MACHINE_CLOCKS } from '@egressd/daemon/clock-steps';
import { AGREE_MS, agreedDifference } from './agreed-difference.ts';

/** Our clock is off where the nodes agree on one that differs by more. */
export const OFF_MS = 60_000;
/** What is less matters to nobody: times of pods are in whole seconds. */
const LEAST_MOVE_MS = 500;

/** The cluster clock was set: what was measured by it moves along. */
export interface Moved {
  /** By how much, milliseconds; negative: back. */
  readonly byMs: number;
  /** It was off since this process began, and the nodes have shown by how much: what a process before had measured is right as it is. */
  readonly learned: boolean;
}

/** What a clock reports. */
export interface ClockObserver {
  /** The machine's own clock was set. */
  stepped(step: ClockStep): void;
  /** What is added to the machine's own clock has changed: 0, it is right as far as is known. */
  corrected(correctionMs: number): void;
}

/**
 * The time that the exporter goes by: that of its own machine, unless the nodes agree that it is another one.
 *
 *   nodes' clocks, against ours    +3600.1 s | +3599.9 s | +3600.0 s | -0.1 s (it has ours)
 *   most of them agree: the difference is ours -> correction +3600.0 s, and the one is behind
 *
 * Nodes are compared as they are connected, by the time that they report (`NodeHealth.clock_ms`). Two have to agree, and be most of all.
 * Where fewer are there, the machine's own clock is believed; where its clock is set then, the correction is what it lacks still.
 */
export class ClusterClock {
  readonly #clocks: Clocks;
  readonly #observer: ClockObserver;
  readonly #steps: ClockSteps;
  readonly #listeners: ((moved: Moved) => void)[] = [];
  /** By node: how far its clock is ahead of the machine's own. */
  readonly #ahead = new Map<string, number>();
  #correctionMs = 0;

  constructor(observer: ClockObserver, clocks: Clocks = MACHINE_CLOCKS) {
    this.#observer = observer;
    this.#clocks = clocks;
    this.#steps = new ClockSteps(clocks);
  }

  /** Unix milliseconds. A step that comes to light is reported to all listeners first. */
  readonly now = (): number => {
    this.#followSteps();
    return this.#clocks.now() + this.#correctionMs;
  };

  /** Calls back whenever this clock is set, before `now` is asked again. */
  onMoved(listener: (moved: Moved) => void): void {
    this.#listeners.push(listener);
  }

  /** Names of the connected nodes that have reported their time. */
  get nodes(): readonly string[] {
    return [...this.#ahead.keys()];
  }

  /** A connected node has this time now. */
  take(node: string, nodeMs: number): void {
    this.#followSteps();
    const before = this.aheadOf(node) ?? 0;
    this.#ahead.set(node, nodeMs - this.#clocks.now());
    // Mostly all are right, and nothing is to be found out.
    if (Math.max(Math.abs(before), Math.abs(this.aheadOf(node)!)) > OFF_MS) this.#correct(this.#agreed(), 0);
  }

  /** A node is connected no more. */
  forget(node: string): void {
    this.#ahead.delete(node);
  }

  /** How far a node's clock is ahead of this one, milliseconds; undefined: it has not reported it. */
  aheadOf(node: string): number | undefined {
    const ahead = this.#ahead.get(node);
    return ahead === undefined ? undefined : ahead - this.#correctionMs;
  }

  #followSteps(): void {
    const step = this.#steps.take();
    if (step === undefined) return;
    for (const [node, ahead] of this.#ahead) this.#ahead.set(node, ahead - step.stepMs);
    const rest = this.#correctionMs === 0 ? 0 : this.#correctionMs - step.stepMs;
    this.#observer.stepped(step);
    this.#correct(this.#agreed() ?? rest, step.stepMs);
  }

  /** What the nodes say that our clock lacks; undefined: they are too few. */
  #agreed(): number | undefined {
    return agreedDifference([...this.#ahead.values()]);
  }

  #correct(agreedMs: number | undefined, stepMs: number): void {
    const before = this.#correctionMs;
    const wanted = agreedMs === undefined || Math.abs(agreedMs - before) < AGREE_MS ? before : agreedMs;
    this.#correctionMs = Math.abs(wanted) > OFF_MS ? wanted : 0;
    if (this.#correctionMs !== before) this.#observer.corrected(this.#correctionMs);
    const byMs = stepMs + this.#correctionMs - before;
    // Where the correction undoes the step nothing has happened.
    if (Math.abs(byMs) < LEAST_MOVE_MS) return;
    for (const listener of this.#listeners) listener({ byMs, learned: stepMs === 0 });
  }
}
