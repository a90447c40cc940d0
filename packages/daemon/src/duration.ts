/** Milliseconds of each unit, as Go's time.ParseDuration knows them (https://pkg.go.dev/time#ParseDuration). */
const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3, // U+00B5, the micro sign
  μs: 1e-3, // U+03BC, the Greek letter
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/gu;
const WHOLE = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/u;

/**
 * Reads a duration as Go writes them: `5s`, `2m`, `1h30m`, `500ms`, `1.5h`, `0`.
 * @returns milliseconds, or undefined where the text is no duration. A number without a unit is none, except 0.
 */
export function parseDuration(text: string): number | undefined {
  if (/^[+-]?0$/.test(text)) return 0;
  const whole = WHOLE.exec(text);
  if (whole === null) return undefined;
  let ms = 0;
  for (const [, amount, unit] of whole[2]!.matchAll(PART)) ms += Number(amount) * UNITS[unit!]!;
  return whole[1] === '-' ? -ms : ms;
}

/** Writes milliseconds in the units that people use: `1h30m`, `5s`, `500ms`, `0s`. `parseDuration` reads the same number again. */
export function formatDuration(ms: number): string {
  if (ms < 0) return `-${formatDuration(-ms)}`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor((ms % 3_600_000) / 60_000);
  const seconds = Math.floor((ms % 60_000) / 1000);
  const rest = ms % 1000;
  const parts = [hours && `${hours}h`, minutes && `${minutes}m`, seconds && `${seconds}s`, rest && `${rest}ms`];
  return parts.filter((part) => part !== 0).join('') || '0s';
}
