import type { Sums } from '../truth/verdict.ts';
import { type Probed, together } from './probes.ts';
import type { Done } from './row.ts';

/** A daemon that answers later than this has stalled. */
export const MAX_STALL_MS = 1_000;
/** Pairs that honest traffic makes at least. */
const LEAST_PAIRS = 4;

/** What came of a row. */
export interface Result {
  readonly name: string;
  /** Of the daemon's end, where one has ended by itself; undefined: all survived. */
  readonly ended: string | undefined;
  readonly kills: number;
  /** Highest working set of a daemon's cgroup, bytes. */
  readonly memory: { readonly collector: number; readonly exporter: number };
  readonly probes: { readonly collectors: Probed; readonly exporter: Probed };
  /** Honest pairs, in the kernel and in the database; undefined: a daemon has ended before. */
  readonly sums: Sums | undefined;
  readonly done: Done;
  readonly proven: boolean;
  /** What was wrong after the attack. */
  readonly after: string | undefined;
}

/** All that is wrong; none: the row stands. @param maxStallMs longest time to the answer of a probe */
export function wrongOf(result: Result, maxStallMs = MAX_STALL_MS): string[] {
  const { ended, kills, sums, proven, done, after } = result;
  const { asked, answered, longestMs } = together(Object.values(result.probes));
  const wrong = [
    ended !== undefined && ended,
    kills > 0 && `the kernel has ended ${kills} processes for want of memory`,
    asked === 0 && 'nothing was probed',
    answered < asked && `${asked - answered} of ${asked} probes were not answered`,
    longestMs >= maxStallMs && `a probe took ${longestMs} ms`,
    !proven && `this run proves nothing: the attack came to ${JSON.stringify(done)}`,
    sums !== undefined && sums.pairs < LEAST_PAIRS && `only ${sums.pairs} honest pairs were seen`,
    sums !== undefined && sums.wrong.length > 0 && `${sums.wrong.length} counters of honest pairs differ`,
    after !== undefined && after,
  ];
  return wrong.filter((line) => line !== false);
}
