import { isLossless, setLossless } from '../../native/event-socket.ts';
import type { LosslessChange, Suspension } from '../source.ts';
import type { Watchdog } from './watchdog.ts';

/** Of the table's limit: ended connections that wait for us must not be what stops new ones. */
const FULL = 0.8;
/** And so much is room enough to go on. */
const ROOM = 0.6;
/** For so long it is not switched on again: what went wrong may go on. */
const CALM_MS = 10_000;
/** Between two looks. */
const LOOK_MS = 100;

/** What the switch works with. */
export interface LosslessOptions {
  /** Of the event socket. */
  readonly fd: number;
  /** How full the table is, of 1; undefined where the kernel does not say. */
  readonly fill: () => number | undefined;
  /** Starts a watchdog. */
  readonly watch: () => Watchdog;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  /** The socket's own switch: for tests. */
  readonly isOn?: (fd: number) => boolean;
  readonly set?: (fd: number, on: boolean) => void;
}

/**
 * Has the kernel keep ended connections until their end was told, while that is safe:
 *
 *            ┌── the table is nearly full, nobody reads, no watchdog ──> off
 *   on <─────┴── after a while, with room in the table ─────────────────┘
 */
export class Lossless {
  readonly #options: LosslessOptions;
  readonly #isOn: (fd: number) => boolean;
  readonly #set: (fd: number, on: boolean) => void;
  #watchdog: Watchdog | undefined;
  #on = false;
  #lookedMs: number;
  #offMs = Number.NEGATIVE_INFINITY;

  constructor(options: LosslessOptions) {
    this.#options = options;
    this.#isOn = options.isOn ?? isLossless;
    this.#set = options.set ?? setLossless;
    this.#lookedMs = Number.NEGATIVE_INFINITY;
  }

  /** Nothing that ends is lost now, whatever the buffer holds. */
  get on(): boolean {
    return this.#on && this.#isOn(this.#options.fd);
  }

  /**
   * To be called after every drain, which is what the watchdog wants to hear of.
   * @returns what has changed, or undefined
   */
  look(): LosslessChange | undefined {
    const { fd, now } = this.#options;
    if (now() - this.#lookedMs < LOOK_MS) return undefined;
    this.#lookedMs = now();
    this.#watchdog?.beat();
    if (!this.#on) return this.#resume();
    const why = this.#whyNot();
    if (why === undefined) return undefined;
    this.#set(fd, false);
    this.#on = false;
    this.#offMs = now();
    return why;
  }

  close(): void {
    this.#watchdog?.close();
  }

  #whyNot(): Suspension | undefined {
    const { fd, fill } = this.#options;
    if (!this.#isOn(fd)) return 'stall';
    if (this.#watchdog?.alive !== true) return 'watchdog';
    return (fill() ?? 0) > FULL ? 'table' : undefined;
  }

  #resume(): 'resumed' | undefined {
    const { fd, fill, watch, now } = this.#options;
    if (now() - this.#offMs < CALM_MS || (fill() ?? 0) > ROOM) return undefined;
    if (this.#watchdog?.alive !== true) this.#watchdog = watch();
    this.#set(fd, true);
    this.#on = true;
    return 'resumed';
  }
}
