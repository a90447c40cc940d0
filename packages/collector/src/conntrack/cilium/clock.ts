/** The unit of an entry's lifetime: jiffies >> 8, or seconds since boot. */
export type ClockSource = 'jiffies' | 'ktime';

/** The kernel's clocks at one moment. */
export interface KernelTime {
  /** `CLOCK_MONOTONIC`, seconds: the clock of `bpf_ktime_get_ns`. */
  readonly seconds: number;
  /** How many jiffies a second has in this kernel. */
  readonly tickRate: number;
}

/** Reads when entries expire. */
export interface Clock {
  readonly source: ClockSource;
  /** The moment, in its units. */
  readonly now: number;
  readonly secondsAUnit: number;
  /** Seconds until an entry expires; negative where it has: since so many seconds. */
  secondsLeft(lifetime: number): number;
}

/** `BPF_MONO_SCALER_JIFFIES` of Cilium's bpf/lib/time.h: jiffies are kept shifted, so that they fit. */
const JIFFIES_SHIFT = 8;
const JIFFIES_SCALE = 2 ** JIFFIES_SHIFT;
/** No entry lives longer without traffic: Cilium's default is 6 hours at the most. */
const LONGEST_LIFETIME_SECONDS = 86_400;

/** Jiffies since boot: they begin five minutes before 32 bits overflow (`INITIAL_JIFFIES` of linux/jiffies.h). */
function jiffiesAt({ seconds, tickRate }: KernelTime): number {
  return 2 ** 32 + (seconds - 300) * tickRate;
}

/** A clock of the source at the moment of `now`. */
export function clockAt(source: ClockSource, now: KernelTime): Clock {
  const units = source === 'ktime' ? now.seconds : jiffiesAt(now) / JIFFIES_SCALE;
  const secondsAUnit = source === 'ktime' ? 1 : JIFFIES_SCALE / now.tickRate;
  return { source, now: units, secondsAUnit, secondsLeft: (lifetime) => (lifetime - units) * secondsAUnit };
}

/**
 * Which clock some entries' lifetimes are of: the one by which more of them are alive, each with no more than any entry has left.
 * Where no entry is alive by either, the only one that can have had such times since boot.
 * @returns undefined where they do not show it
 */
export function clockSourceOf(lifetimes: Iterable<number>, now: KernelTime): ClockSource | undefined {
  const ktime = clockAt('ktime', now);
  const jiffies = clockAt('jiffies', now);
  const votes = { ktime: 0, jiffies: 0 };
  let latest = 0;
  for (const lifetime of lifetimes) {
    if (isAlive(ktime, lifetime)) votes.ktime++;
    if (isAlive(jiffies, lifetime)) votes.jiffies++;
    latest = Math.max(latest, lifetime);
  }
  if (votes.ktime !== votes.jiffies) return votes.ktime > votes.jiffies ? 'ktime' : 'jiffies';
  if (latest === 0) return undefined;
  // Jiffies have not been less since boot.
  if (latest < jiffiesAt({ ...now, seconds: 0 }) / JIFFIES_SCALE) return 'ktime';
  return ktime.secondsLeft(latest) > LONGEST_LIFETIME_SECONDS ? 'jiffies' : undefined;
}

/** Whether an entry has not expired, and has no more left than any entry may. */
export function isAlive(clock: Clock, lifetime: number): boolean {
  const left = clock.secondsLeft(lifetime);
  return left > 0 && left <= LONGEST_LIFETIME_SECONDS;
}
