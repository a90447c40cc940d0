/** Severity, least first. */
export const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type Level = (typeof LEVELS)[number];

/** What a line says beside its message. A field that is undefined is left out. Never a secret. */
export type Fields = Readonly<Record<string, string | number | boolean | bigint | undefined>>;

/** Where a daemon says what it does. */
export interface Log {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
}

/** The time of a line; `Date.now` outside tests. */
export type Clock = () => number;

/**
 * A log that writes one logfmt line an event (`time=... level=info msg="..." key=value`), as its users' dashboards parse it.
 * @param write takes a whole line with its end
 */
export function createLog(level: Level, write: (line: string) => void, now: Clock = Date.now): Log {
  const least = LEVELS.indexOf(level);
  const say =
    (lineLevel: Level) =>
    (message: string, fields: Fields = {}): void => {
      if (LEVELS.indexOf(lineLevel) < least) return;
      const pairs = Object.entries(fields).filter(([, value]) => value !== undefined);
      const rest = pairs.map(([key, value]) => ` ${key}=${quote(String(value))}`).join('');
      write(`time=${new Date(now()).toISOString()} level=${lineLevel} msg=${quote(message)}${rest}\n`);
    };
  return { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') };
}

/** A logfmt value: bare where it can be, else a JSON string. */
function quote(text: string): string {
  return /^[\w.:/@%+-]+$/.test(text) ? text : JSON.stringify(text);
}

/** A log that says nothing: for tests. */
export const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** Longest pause of a repeated line. */
const MAX_QUIET_MS = 10 * 60_000;
/** Keys that are remembered: a key may name a peer, and there is no end of peers. The one that was new longest ago is forgotten. */
const MAX_KEYS = 1000;

/**
 * Wraps a log so that a line that repeats (same key) does not flood: after it was said, it keeps quiet for 1 s, then 2 s, 4 s
 * ... up to ten minutes, and the next one says how many were left out. Quiet for twice its pause, it starts anew.
 */
export class LogLimiter {
  readonly #said = new Map<string, { at: number; quietMs: number; leftOut: number }>();
  readonly #now: Clock;

  constructor(now: Clock = Date.now) {
    this.#now = now;
  }

  /** Calls `say` with the number of lines left out since the last, or leaves this one out. */
  limit(key: string, say: (leftOut: number | undefined) => void): void {
    const now = this.#now();
    const last = this.#said.get(key);
    if (last === undefined && this.#said.size >= MAX_KEYS) this.#said.delete(this.#said.keys().next().value!);
    if (last === undefined || now - last.at > 2 * last.quietMs) {
      this.#said.set(key, { at: now, quietMs: 1000, leftOut: 0 });
      say(last?.leftOut || undefined);
    } else if (now - last.at < last.quietMs) {
      last.leftOut++;
    } else {
      this.#said.set(key, { at: now, quietMs: Math.min(last.quietMs * 2, MAX_QUIET_MS), leftOut: 0 });
      say(last.leftOut || undefined);
    }
  }
}
