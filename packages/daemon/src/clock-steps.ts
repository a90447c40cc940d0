import { uptime } from 'node:os';
import type { Log } from './log.ts';

/**
 * What is less is no step: the uptime is known to 10 ms, and a clock that is slewed gains or loses up to a twelfth (chrony's `maxslewrate`,
 * 83,333 ppm).
 */
const LEAST_STEP_MS = 500;
const SLEW_SHARE = 0.1;

/** A wall clock was set. Milliseconds. */
export interface ClockStep {
  /** By how much; negative: back. */
  readonly stepMs: number;
  /** Unix time, by the clock as it is now, of the last moment at which it had not been set yet. */
  readonly sinceMs: number;
}

/** The two clocks that are compared. */
export interface Clocks {
  /** The wall clock: Unix milliseconds. */
  readonly now: () => number;
  /** Milliseconds since the boot, suspended time too. */
  readonly sinceBoot: () => number;
}

/** Those of the machine: CLOCK_REALTIME, and CLOCK_BOOTTIME as /proc/uptime has it. CLOCK_MONOTONIC would take a suspend for a step. */
export const MACHINE_CLOCKS: Clocks = { now: Date.now, sinceBoot: () => uptime() * 1000 };

/** Notices when the wall clock is set, by a clock that only goes forward. */
export class ClockSteps {
  readonly #clocks: Clocks;
  #nowMs: number;
  #bootMs: number;

  constructor(clocks: Clocks = MACHINE_CLOCKS) {
    this.#clocks = clocks;
    this.#nowMs = clocks.now();
    this.#bootMs = clocks.sinceBoot();
  }

  /** @returns the step since the last call; undefined: there was none */
  take(): ClockStep | undefined {
    const [nowMs, bootMs] = [this.#clocks.now(), this.#clocks.sinceBoot()];
    const elapsedMs = bootMs - this.#bootMs;
    const stepMs = Math.round(nowMs - this.#nowMs - elapsedMs);
    [this.#nowMs, this.#bootMs] = [nowMs, bootMs];
    if (Math.abs(stepMs) < LEAST_STEP_MS + elapsedMs * SLEW_SHARE) return undefined;
    return { stepMs, sinceMs: Math.floor(nowMs - elapsedMs) };
  }
}

/** The direction of a step, as metrics and the log say it. */
export function directionOf({ stepMs }: ClockStep): 'forward' | 'back' {
  return stepMs < 0 ? 'back' : 'forward';
}

/** Logs a step. @param message whose clock it is */
export function warnAboutStep(log: Log, message: string, step: ClockStep): void {
  log.warn(message, {
    direction: directionOf(step),
    seconds: Math.abs(step.stepMs) / 1000,
    advice: 'if this comes again, see the time service (NTP) of this node',
  });
}
