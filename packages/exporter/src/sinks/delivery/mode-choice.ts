import { type Log, LogLimiter } from '@egressd/daemon/log';
import type { Mode } from './frame.ts';

/** What is said of each way to send. */
const WAYS = {
  delta: { sends: 'deltas', ask: 'sum_over_time(egressd_transmit_bytes_total[1h])' },
  counter: { sends: 'growing counters', ask: 'increase(egressd_transmit_bytes_total[1h])' },
  // The one break with the egressd before, so it is said at every start, and how to go back.
  usual: {
    sends: 'growing counters by remote write, deltas by all others',
    ask: 'increase(egressd_transmit_bytes_total[1h])',
    advice:
      'older releases sent deltas by remote write, asked for with sum_over_time(egressd_transmit_bytes_total[1h]); ' +
      'set send-traffic-delta to true at the collectors to keep them',
  },
} as const;

/** Settles what sinks send from what each collector's `send-traffic-delta` says, and tells the log. */
export class ModeChoice {
  readonly #log: Log;
  readonly #logLimiter: LogLimiter;
  #said: keyof typeof WAYS | undefined;

  constructor(log: Log, now: () => number) {
    this.#log = log;
    this.#logLimiter = new LogLimiter(now);
  }

  /**
   * Of several values true wins over false, and false over one that is not set. Collectors that disagree are a mistake of the set-up: it is
   * said.
   * @param asked of each collector, at least one
   * @returns undefined: nobody asks, so each sink sends as it usually does
   */
  choose(asked: readonly (boolean | undefined)[]): Mode | undefined {
    const mode = asked.includes(true) ? 'delta' : asked.includes(false) ? 'counter' : undefined;
    const way = mode ?? 'usual';
    if (way !== this.#said) this.#log.info('what sinks send from now on', WAYS[way]);
    this.#said = way;
    if (asked.some((each) => each !== asked[0])) this.#tellDisagreement(asked, WAYS[way].sends);
    return mode;
  }

  #tellDisagreement(asked: readonly (boolean | undefined)[], sends: string): void {
    const count = (value: boolean | undefined) => asked.filter((each) => each === value).length;
    this.#logLimiter.limit('disagree', () =>
      this.#log.warn('collectors disagree on send-traffic-delta', {
        true: count(true),
        false: count(false),
        unset: count(undefined),
        sends,
      }),
    );
  }
}
