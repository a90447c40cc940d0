import { type Log, LogLimiter } from '@egressd/daemon/log';
import type { Mode } from './frame.ts';

/** What is logged of each choice. */
const CHOICES = {
  delta: { sends: 'deltas', query: 'sum_over_time(egressd_transmit_bytes_total[1h])' },
  counter: { sends: 'cumulative counters', query: 'increase(egressd_transmit_bytes_total[1h])' },
  // The one break with older releases, so it is logged at every start, with the way back.
  default: {
    sends: 'cumulative counters by remote write and OTLP, deltas by all others',
    query: 'increase(egressd_transmit_bytes_total[1h])',
    advice:
      'older releases sent deltas by remote write, queried with sum_over_time(egressd_transmit_bytes_total[1h]); ' +
      'set send-traffic-delta to true at the collectors to keep them',
  },
} as const;

/** Decides what sinks send, from the `send-traffic-delta` of each collector, and logs it. */
export class ModeChoice {
  readonly #log: Log;
  readonly #logLimiter: LogLimiter;
  #logged: keyof typeof CHOICES | undefined;

  constructor(log: Log, now: () => number) {
    this.#log = log;
    this.#logLimiter = new LogLimiter(now);
  }

  /**
   * Of several values true wins over false, and false over one that is not set. Collectors that disagree are misconfigured, which is
   * logged.
   * @param asked of each collector, at least one
   * @returns undefined: no collector asks, so each sink sends in its default mode
   */
  choose(asked: readonly (boolean | undefined)[]): Mode | undefined {
    const mode = asked.includes(true) ? 'delta' : asked.includes(false) ? 'counter' : undefined;
    const choice = mode ?? 'default';
    if (choice !== this.#logged) this.#log.info('sink mode', { mode: choice, ...CHOICES[choice] });
    this.#logged = choice;
    if (asked.some((each) => each !== asked[0])) this.#warnOfDisagreement(asked, CHOICES[choice].sends);
    return mode;
  }

  #warnOfDisagreement(asked: readonly (boolean | undefined)[], sends: string): void {
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
