import { isLossless, setLossless } from '../../native/event-socket.ts';
import type { LosslessChange, LosslessSuspension } from '../source.ts';
import type { Watchdog } from './watchdog.ts';

/** Of the table's limit (`nf_conntrack_max`): ended connections that wait for us must not be what stops new ones. */
const SUSPEND_ABOVE = 0.8;
/** Below this it is resumed. */
const RESUME_BELOW = 0.6;
/** After a suspension it stays off for so long: what went wrong may go on. */
const RESUME_AFTER_MS = 10_000;
const CHECK_INTERVAL_MS = 100;

interface LosslessOptions {
  /** Of the event socket. */
  readonly fd: number;
  /** How full the table is, of 1; undefined where the kernel does not say. */
  readonly fill: () => number | undefined;
  /** Starts a watchdog. */
  readonly watch: () => Watchdog;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  /** The socket's option: for tests. */
  readonly isOn?: (fd: number) => boolean;
  readonly set?: (fd: number, on: boolean) => void;
}

/**
 * Has the kernel keep ended connections until their DESTROY event was delivered, while that is safe:
 *
 *            ┌── the table is nearly full, a stalled reader, no watchdog ──> suspended
 *   on <─────┴── after a while, with room in the table ────────────────────────┘
 */
export class Lossless {
  readonly #options: LosslessOptions;
  readonly #isOn: (fd: number) => boolean;
  readonly #set: (fd: number, on: boolean) => void;
  #watchdog: Watchdog | undefined;
  #on = false;
  #checkedMs: number;
  #suspendedMs = Number.NEGATIVE_INFINITY;

  constructor(options: LosslessOptions) {
    this.#options = options;
    this.#isOn = options.isOn ?? isLossless;
    this.#set = options.set ?? setLossless;
    this.#checkedMs = Number.NEGATIVE_INFINITY;
  }

  /** No DESTROY event is lost now, however full the socket's buffer. */
  get on(): boolean {
    return this.#on && this.#isOn(this.#options.fd);
  }

  /**
   * To be called after every drain: the watchdog's heartbeat.
   * @returns what has changed, or undefined
   */
  check(): LosslessChange | undefined {
    const { fd, now } = this.#options;
    if (now() - this.#checkedMs < CHECK_INTERVAL_MS) return undefined;
    this.#checkedMs = now();
    this.#watchdog?.heartbeat();
    if (!this.#on) return this.#resume();
    const why = this.#whySuspend();
    if (why === undefined) return undefined;
    this.#set(fd, false);
    this.#on = false;
    this.#suspendedMs = now();
    return why;
  }

  close(): void {
    this.#watchdog?.close();
  }

  #whySuspend(): LosslessSuspension | undefined {
    const { fd, fill } = this.#options;
    if (!this.#isOn(fd)) return 'stall';
    if (this.#watchdog?.alive !== true) return 'watchdog';
    return (fill() ?? 0) > SUSPEND_ABOVE ? 'table' : undefined;
  }

  #resume(): 'resumed' | undefined {
    const { fd, fill, watch, now } = this.#options;
    if (now() - this.#suspendedMs < RESUME_AFTER_MS || (fill() ?? 0) > RESUME_BELOW) return undefined;
    if (this.#watchdog?.alive !== true) this.#watchdog = watch();
    this.#set(fd, true);
    this.#on = true;
    return 'resumed';
  }
}
