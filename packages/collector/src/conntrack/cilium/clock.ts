/** The unit that Cilium says when an entry expires in. */
export type ClockSource = 'jiffies' | 'ktime';

/** Times of the kernel's clocks at one moment. */
export interface KernelTime {
  /** `CLOCK_MONOTONIC`, seconds: what `bpf_ktime_get_ns` tells. */
  readonly seconds: number;
  /** Ticks since boot; undefined where the kernel does not tell. */
  readonly jiffies: number | undefined;
}

/** Reads when entries expire. */
export interface Clock {
  readonly source: ClockSource;
  /** Whole seconds until an entry expires; 0 where it has. */
  secondsUntil(lifetime: number): number;
  /** The same, negative where it has: since so many seconds. */
  secondsLeft(lifetime: number): number;
}

/** `BPF_MONO_SCALER_JIFFIES` of Cilium's bpf/lib/time.h: jiffies are kept shifted, so that they fit. */
const JIFFIES_SHIFT = 8;
const JIFFIES_SCALE = 2 ** JIFFIES_SHIFT;
/** Ticks a second that kernels are built with. */
const TICK_RATES = [100, 250, 300, 1000];
/** No entry lives longer without traffic: Cilium's default is 6 hours at the most. */
const LONGEST_LIFETIME_SECONDS = 86_400;

/** `INITIAL_JIFFIES` of linux/jiffies.h: five minutes before 32 bits overflow. */
function initialJiffies(rate: number): number {
  return 2 ** 32 - 300 * rate;
}

const FIRST_JIFFIES = initialJiffies(Math.max(...TICK_RATES));

/** Ticks a second of this kernel, from both of its times; undefined where they fit none. */
export function tickRate({ seconds, jiffies }: KernelTime): number | undefined {
  if (jiffies === undefined) return undefined;
  const off = (rate: number) => Math.abs((jiffies - initialJiffies(rate)) / rate - seconds);
  const best = TICK_RATES.toSorted((a, b) => off(a) - off(b))[0]!;
  // Suspended time and the time before the clock ran: minutes at the most, against years for another rate.
  return off(best) < 600 + seconds * 0.01 ? best : undefined;
}

/** A clock of the source at the moment of `now`; undefined where the kernel does not tell how far it is. */
export function clockAt(source: ClockSource, now: KernelTime): Clock | undefined {
  const rate = tickRate(now);
  if (source === 'jiffies' && (rate === undefined || now.jiffies === undefined)) return undefined;
  const units = source === 'ktime' ? now.seconds : now.jiffies! / JIFFIES_SCALE;
  const secondsAUnit = source === 'ktime' ? 1 : JIFFIES_SCALE / rate!;
  const secondsLeft = (lifetime: number) => (lifetime - units) * secondsAUnit;
  return { source, secondsLeft, secondsUntil: (lifetime) => Math.max(0, Math.floor(secondsLeft(lifetime))) };
}

/**
 * Which clock some entries' lifetimes are of: the one by which more of them are alive, each with no more than any entry has left.
 * Where no entry is alive by either, the only one that could have told such times since boot.
 * @returns undefined where they do not tell
 */
export function clockSourceOf(lifetimes: Iterable<number>, now: KernelTime): ClockSource | undefined {
  const ktime = clockAt('ktime', now)!;
  const jiffies = clockAt('jiffies', now);
  const votes = { ktime: 0, jiffies: 0 };
  let latest = 0;
  for (const lifetime of lifetimes) {
    if (isAlive(ktime, lifetime)) votes.ktime++;
    if (jiffies !== undefined && isAlive(jiffies, lifetime)) votes.jiffies++;
    latest = Math.max(latest, lifetime);
  }
  if (votes.ktime !== votes.jiffies) return votes.ktime > votes.jiffies ? 'ktime' : 'jiffies';
  if (latest === 0) return undefined;
  // Jiffies have not been less since boot.
  if (latest < FIRST_JIFFIES / JIFFIES_SCALE) return 'ktime';
  return ktime.secondsLeft(latest) > LONGEST_LIFETIME_SECONDS ? 'jiffies' : undefined;
}

export function isAlive(clock: Clock, lifetime: number): boolean {
  const left = clock.secondsLeft(lifetime);
  return left > 0 && left <= LONGEST_LIFETIME_SECONDS;
}
