import { printable, shortened } from './printable.ts';

/** Severity, least first. */
const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
/** One of `LEVELS`. */
export type Level = (typeof LEVELS)[number];

/** Key-value pairs of a line, beside its message. A field that is undefined is omitted. Never a secret. */
export type Fields = Readonly<Record<string, string | number | boolean | bigint | undefined>>;

/** A leveled, structured log. Messages are constant, details are fields. */
export interface Log {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
}

/** Most characters of one value: its text may be a peer's. Runtimes of containers cut lines at 16 KiB. */
const MAX_VALUE_LENGTH = 8192;

/** The time of a line; `Date.now` outside tests. */
export type Clock = () => number;

/**
 * A log that writes one logfmt line an event (`time=... level=info msg="..." key=value`), as its users' dashboards parse it.
 * @param write takes a whole line, its newline included
 */
export function createLog(level: Level, write: (line: string) => void, now: Clock = Date.now): Log {
  const least = LEVELS.indexOf(level);
  const at =
    (lineLevel: Level) =>
    (message: string, fields: Fields = {}): void => {
      if (LEVELS.indexOf(lineLevel) < least) return;
      const pairs = Object.entries(fields).filter(([, value]) => value !== undefined);
      const rest = pairs.map(([key, value]) => ` ${key}=${quote(String(value))}`).join('');
      write(`time=${new Date(now()).toISOString()} level=${lineLevel} msg=${quote(message)}${rest}\n`);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** A logfmt value: bare where it can be, else a JSON string, in which also what cannot be seen is escaped. A long one is cut. */
function quote(text: string): string {
  const value = shortened(text, MAX_VALUE_LENGTH);
  return /^[\w.:/@%+-]+$/.test(value) ? value : printable(JSON.stringify(value));
}

/** A log that discards every line: for tests and tools. */
export const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** First and longest interval between two lines of the same key, milliseconds. */
const MIN_INTERVAL_MS = 1000;
const MAX_INTERVAL_MS = 10 * 60_000;
/** Keys that are kept: a key may name a peer, and the number of peers has no bound. The oldest key is evicted. */
const MAX_KEYS = 1000;

/**
 * Rate limit of repeated log lines, by key: after a line, further ones of its key are suppressed for 1 s, then 2 s, 4 s ... up to
 * ten minutes; the next one that is logged has the number of suppressed ones. After twice its interval without a line, a key
 * starts over.
 */
export class LogLimiter {
  readonly #logged = new Map<string, { at: number; intervalMs: number; suppressed: number }>();
  readonly #now: Clock;

  constructor(now: Clock = Date.now) {
    this.#now = now;
  }

  /** Calls `log` with the number of lines suppressed since the last one (undefined: none), or suppresses this one. */
  limit(key: string, log: (suppressed: number | undefined) => void): void {
    const now = this.#now();
    const last = this.#logged.get(key);
    if (last === undefined && this.#logged.size >= MAX_KEYS) this.#logged.delete(this.#logged.keys().next().value!);
    // A time before the last line's: the clock was set back.
    if (last === undefined || now < last.at || now - last.at > 2 * last.intervalMs) {
      this.#logged.set(key, { at: now, intervalMs: MIN_INTERVAL_MS, suppressed: 0 });
      log(last?.suppressed || undefined);
    } else if (now - last.at < last.intervalMs) {
      last.suppressed++;
    } else {
      this.#logged.set(key, { at: now, intervalMs: Math.min(last.intervalMs * 2, MAX_INTERVAL_MS), suppressed: 0 });
      log(last.suppressed || undefined);
    }
  }
}
