import type { Log } from './log.ts';

/** Exit codes of a daemon. */
export const EXIT = {
  /** It was asked to end, or did the one thing it was asked for. */
  ok: 0,
  /** It failed to start, or hit an error that it cannot recover from. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** A second signal cut the stop short: 128 + SIGINT, as shells count. */
  interrupted: 130,
  /** The same with SIGTERM. */
  terminated: 143,
} as const;
/** One of `EXIT`. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Deadline of the whole shutdown, milliseconds: below 10 s, with some room to exit in. */
const STOP_DEADLINE_MS = 9_500;

/** What a lifecycle needs of a process; `process` outside tests. */
interface Host {
  on(event: string, listener: (what: unknown) => void): unknown;
  exit(code: number): void;
}

/** One component that was started and has to be stopped. */
interface Step {
  readonly name: string;
  readonly stop: () => unknown;
  readonly deadlineMs: number;
}

/**
 * Start and ordered stop of a daemon. What was started last is stopped first:
 *
 *   start:  registry -> http -> receiver -> sinks -> loop
 *   stop:   registry <- http <- receiver <- sinks <- loop
 *
 * SIGTERM and SIGINT stop it; a second signal ends the process at once. An uncaught exception or rejection is logged once
 * and stops it too, with exit code 1.
 */
export class Lifecycle {
  readonly #log: Log;
  readonly #host: Host;
  readonly #deadlineMs: number;
  readonly #steps: Step[] = [];
  readonly #stopping = new AbortController();
  #starting: Promise<unknown> = Promise.resolve();
  #code: ExitCode = EXIT.ok;

  constructor(log: Log, host: Host = process, deadlineMs: number = STOP_DEADLINE_MS) {
    this.#log = log;
    this.#host = host;
    this.#deadlineMs = deadlineMs;
    host.on('SIGTERM', () => this.#onSignal('SIGTERM', EXIT.terminated));
    host.on('SIGINT', () => this.#onSignal('SIGINT', EXIT.interrupted));
    host.on('uncaughtException', (error) => this.#end('uncaught exception', trace(error)));
    host.on('unhandledRejection', (error) => this.#end('unhandled promise rejection', trace(error)));
  }

  /** Aborted when the shutdown begins. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  /**
   * Registers how to stop what was just started. It is called when everything registered later has been stopped.
   * @param deadlineMs after so long the shutdown continues without it
   */
  onStop(name: string, stop: () => unknown, deadlineMs: number = this.#deadlineMs): void {
    this.#steps.push({ name, stop, deadlineMs });
  }

  /**
   * Runs the start; if it fails, what it has started is stopped again and the process ends with exit code 1. Never rejects; after
   * a failure `stopping` is aborted.
   */
  async start(start: () => Promise<void>): Promise<void> {
    // Not called here and now: a signal that comes while it runs must find it under way.
    this.#starting = Promise.resolve()
      .then(start)
      .catch((error) => {
        // A start that `stopping` aborted has not failed.
        if (!(this.stopping.aborted && isAbort(error))) this.fail('start failed', error);
      });
    await this.#starting;
  }

  /** Ends the process after a fatal error: logs it, stops in order, exit code 1. Only the first one is logged. */
  fail(what: string, error: unknown): void {
    this.#end(what, describe(error));
  }

  /** Stops everything in order and ends the process. The second call does nothing. */
  stop(reason: string): void {
    if (this.stopping.aborted) return;
    this.#stopping.abort();
    this.#log.info('stopping', { reason });
    this.#stopAll().then(() => this.#host.exit(this.#code));
  }

  #end(what: string, error: string): void {
    if (this.#code === EXIT.failed) return;
    this.#code = EXIT.failed;
    this.#log.error(what, { error });
    this.stop(what);
  }

  #onSignal(signal: string, code: ExitCode): void {
    if (this.stopping.aborted) {
      this.#log.warn('second signal, exiting without an ordered shutdown', { signal });
      this.#host.exit(code);
    } else {
      this.stop(signal);
    }
  }

  async #stopAll(): Promise<void> {
    const deadline = performance.now() + this.#deadlineMs;
    for (;;) {
      const step = this.#steps.pop();
      const leftMs = Math.max(0, deadline - performance.now());
      if (step !== undefined) {
        await this.#stopOne(step, Math.min(step.deadlineMs, leftMs));
      } else {
        // A start that is still under way may register more.
        await within(this.#starting, leftMs);
        if (this.#steps.length === 0) return;
      }
    }
  }

  async #stopOne(step: Step, deadlineMs: number): Promise<void> {
    try {
      const stopped = await within((async () => step.stop())(), deadlineMs);
      if (!stopped) this.#log.warn('shutdown step timed out', { step: step.name, deadline_ms: Math.round(deadlineMs) });
    } catch (error) {
      this.#log.error('shutdown step failed', { step: step.name, error: describe(error) });
    }
  }
}

/** Waits for work, at most so long. @returns whether it has ended */
async function within(work: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(resolve, ms, false);
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** By name: a DOMException of another realm is no instance of this one's. */
function isAbort(error: unknown): boolean {
  return (error as { name?: unknown } | undefined)?.name === 'AbortError';
}

/** Errors that are faults of the program itself. */
const PROGRAM_ERRORS = [TypeError, ReferenceError, RangeError, SyntaxError];

/** An error as text: its message, and the stack only where the program itself is at fault. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'Bug' || PROGRAM_ERRORS.some((kind) => error instanceof kind)) return trace(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

function trace(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
