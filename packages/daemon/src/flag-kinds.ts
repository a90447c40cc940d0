import { formatDuration, parseDuration } from './duration.ts';
import type { Level } from './log.ts';

/** What a text was parsed as, or what was expected instead (`a duration such as 5s`). */
type Read<T> = { readonly value: T } | { readonly expected: string };

/** One flag: how its text is read, and its default. */
export interface Flag<T> {
  /** What stands for the value in `-help`: `duration`, `port`. */
  readonly kind: string;
  readonly default: T;
  /** One sentence for `-help` and docs/flags.md. */
  readonly description: string;
  /** True for flags that may stand without a value, which means `true`. */
  readonly bare?: boolean;
  read(text: string): Read<T>;
  /** The text that `read` would read as this value; empty for "not set". */
  write(value: T): string;
}

/** The spellings of Go's strconv.ParseBool. */
const TRUE = ['1', 't', 'T', 'true', 'TRUE', 'True'];
const FALSE = ['0', 'f', 'F', 'false', 'FALSE', 'False'];

function readBoolean(text: string): Read<boolean> {
  if (TRUE.includes(text)) return { value: true };
  return FALSE.includes(text) ? { value: false } : { expected: 'true or false' };
}

/** On or off. Without a value it is on. */
export function boolean(fallback: boolean, description: string): Flag<boolean> {
  return { kind: 'bool', default: fallback, description, bare: true, read: readBoolean, write: String };
}

/** On, off, or not set at all, where that is a third meaning. */
export function optionalBoolean(description: string): Flag<boolean | undefined> {
  const write = (value: boolean | undefined) => (value === undefined ? '' : String(value));
  return { kind: 'bool', default: undefined, description, bare: true, read: readBoolean, write };
}

/** Any text, such as a path; empty means not set. */
export function optionalText(kind: string, description: string): Flag<string | undefined> {
  const read = (text: string) => ({ value: text === '' ? undefined : text });
  return { kind, default: undefined, description, read, write: (value) => value ?? '' };
}

/** A text that is never empty, such as a path with a default. */
export function text(kind: string, fallback: string, description: string): Flag<string> {
  const read = (given: string): Read<string> => (given === '' ? { expected: `a ${kind}` } : { value: given });
  return { kind, default: fallback, description, read, write: String };
}

/** Milliseconds, written as Go writes durations, between two bounds. */
export function duration(
  fallback: number,
  bounds: { readonly min: number; readonly max: number },
  description: string,
): Flag<number> {
  const [min, max] = [formatDuration(bounds.min), formatDuration(bounds.max)];
  const read = (given: string): Read<number> => {
    const value = parseDuration(given);
    if (value !== undefined && value >= bounds.min && value <= bounds.max) return { value };
    return { expected: `a duration from ${min} to ${max}, such as ${formatDuration(fallback)}` };
  };
  return { kind: 'duration', default: fallback, description, read, write: formatDuration };
}

/** A whole number between two bounds. */
export function integer(
  fallback: number,
  bounds: { readonly min: number; readonly max: number },
  description: string,
): Flag<number> {
  const read = (given: string): Read<number> => {
    const value = /^\d{1,15}$/.test(given) ? Number(given) : Number.NaN;
    if (value >= bounds.min && value <= bounds.max) return { value };
    return { expected: `a whole number from ${bounds.min} to ${bounds.max}` };
  };
  return { kind: 'number', default: fallback, description, read, write: String };
}

/** A TCP port to listen on; 0 lets the kernel choose one. */
export function port(fallback: number, description: string): Flag<number> {
  return { ...integer(fallback, { min: 0, max: 65535 }, description), kind: 'port' };
}

/** `HOST:PORT`, an IPv6 address in brackets, kept as it was written. */
export function address(fallback: string, description: string): Flag<string> {
  const read = (given: string): Read<string> => {
    const parts = /^(?:\[[\da-fA-F:.]+(?:%\w+)?\]|[\w.-]+):(\d{1,5})$/.exec(given);
    if (parts !== null && Number(parts[1]) >= 1 && Number(parts[1]) <= 65535) return { value: given };
    return { expected: 'HOST:PORT (an IPv6 address in brackets), such as exporter:6062' };
  };
  return { kind: 'host:port', default: fallback, description, read, write: String };
}

/** Names separated by commas; spaces around them and empty ones do not count. */
export function list(fallback: readonly string[], description: string): Flag<readonly string[]> {
  const read = (given: string) => ({ value: given.split(',').flatMap((name) => name.trim() || []) });
  return { kind: 'names', default: fallback, description, read, write: (value) => value.join(',') };
}

/** One of a few words. */
export function choice<const T extends string>(
  words: readonly T[],
  fallback: NoInfer<T>,
  description: string,
): Flag<T> {
  const read = (given: string): Read<T> => {
    const value = words.find((word) => word === given);
    return value === undefined ? { expected: words.join(', ') } : { value };
  };
  return { kind: 'word', default: fallback, description, read, write: String };
}

/** One of a few words, or not set. */
export function optionalChoice<const T extends string>(words: readonly T[], description: string): Flag<T | undefined> {
  const read = (given: string): Read<T | undefined> => {
    const value = words.find((word) => word === given);
    return value === undefined && given !== '' ? { expected: `${words.join(', ')}, or nothing` } : { value };
  };
  return { kind: 'word', default: undefined, description, read, write: (value) => value ?? '' };
}

/** The names that logrus gives its levels (https://pkg.go.dev/github.com/sirupsen/logrus#ParseLevel), and ours for them. */
const LEVEL_NAMES: Readonly<Record<string, Level>> = {
  trace: 'debug',
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  warning: 'warn',
  error: 'error',
  fatal: 'error',
  panic: 'error',
};

/** The least severe lines that are logged. Levels we do not have mean the next one that we do. */
export function level(fallback: Level, description: string): Flag<Level> {
  const read = (given: string): Read<Level> => {
    const value = LEVEL_NAMES[given.toLowerCase()];
    return value === undefined ? { expected: Object.keys(LEVEL_NAMES).join(', ') } : { value };
  };
  return { kind: 'level', default: fallback, description, read, write: String };
}
