/** Settings of a `stdout` sink, under the names of the configuration file. */
export interface StdoutSinkSettings {
  /** Cardinality limit: series beyond are folded into `~other`. */
  readonly maxSeries: number;
}
