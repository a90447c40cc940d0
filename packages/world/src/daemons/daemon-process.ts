import type { ChildProcess } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { waitForExit } from '../network/commands.ts';

const START_LIMIT_MS = 30_000;
/** A daemon promises to end within 10 s: somewhat more, so that it is seen to break that. */
const END_LIMIT_MS = 12_000;
const ASK_AGAIN_MS = 100;
/** What is kept of a daemon's last lines, to be shown if it fails. */
const LAST_LINES_LENGTH = 4000;

/** A daemon that did not start, or ended by itself. */
export class DaemonFailed extends Error {
  override readonly name = 'DaemonFailed';
}

interface DaemonOptions {
  /** Its name in errors. */
  readonly name: string;
  /** Starts its process, with pipes. */
  readonly spawn: () => ChildProcess;
  /** Why it is not ready; undefined: it is. */
  readonly notReady: () => Promise<string | undefined>;
  /** It ended by itself. */
  readonly onFailed: (error: DaemonFailed) => void;
}

/** A daemon at work in the world: a real process, which can be ended in any way and started again. */
export class DaemonProcess {
  readonly #options: DaemonOptions;
  #child: ChildProcess | undefined;
  #failed: DaemonFailed | undefined;
  /** The one that was asked to end: its pipes may close when the next one runs already. */
  #ending: ChildProcess | undefined;
  #lastLines = '';

  constructor(options: DaemonOptions) {
    this.#options = options;
  }

  /** Starts it, also again, and waits until it is ready. @throws DaemonFailed */
  async start(): Promise<void> {
    const child = this.#options.spawn();
    this.#child = child;
    this.#lastLines = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.#lastLines = `${this.#lastLines}${chunk.toString('utf8')}`.slice(-LAST_LINES_LENGTH);
      });
    child.stdin?.on('error', () => {}); // it has ended: `close` says so
    child.once('close', (code, signal) => {
      if (this.#ending !== child) this.#fail(`has ended (${code ?? signal})`);
    });
    await this.#untilReady();
  }

  /** Signals that do not end it: SIGSTOP and SIGCONT. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal);
  }

  /** Its process; undefined where none runs. */
  get pid(): number | undefined {
    const child = this.#child;
    return child?.exitCode === null && child.signalCode === null ? child.pid : undefined;
  }

  /** The end of what it has written since its last start. */
  get lastWords(): string {
    return this.#lastLines;
  }

  /** Writes a line to its stdin. */
  writeLine(line: string): void {
    this.#child?.stdin?.write(`${line}\n`);
  }

  /**
   * Ends it, and kills it where it does not end in time.
   * @returns how it ended: its exit code, or the signal; undefined where it never ran
   */
  async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | NodeJS.Signals | undefined> {
    const child = this.#child;
    if (child === undefined) return undefined;
    this.#ending = child;
    child.kill(signal);
    if (!(await waitForExit(child, END_LIMIT_MS))) {
      child.kill('SIGKILL');
      await waitForExit(child, END_LIMIT_MS);
    }
    return child.exitCode ?? child.signalCode ?? undefined;
  }

  async #untilReady(): Promise<void> {
    const deadline = Date.now() + START_LIMIT_MS;
    let reason: string | undefined = 'not asked yet';
    while (Date.now() < deadline) {
      if (this.#failed !== undefined) throw this.#failed;
      reason = await this.#options.notReady();
      if (reason === undefined) return;
      await pause(ASK_AGAIN_MS);
    }
    throw this.#error(`is not ready after ${START_LIMIT_MS / 1000} s: ${reason}`);
  }

  #fail(what: string): void {
    this.#failed = this.#error(what);
    this.#options.onFailed(this.#failed);
  }

  #error(what: string): DaemonFailed {
    return new DaemonFailed(`${this.#options.name} ${what}. Its last lines:\n${this.#lastLines}`);
  }
}
