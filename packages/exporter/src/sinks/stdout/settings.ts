import type { LabelChoice } from '../label-sets/settings.ts';

/** Settings of a `stdout` sink, under the names of the configuration file. */
export interface StdoutSinkSettings extends LabelChoice {
  /** Cardinality limit: series beyond are folded into `~other`. */
  readonly maxSeries: number;
}
