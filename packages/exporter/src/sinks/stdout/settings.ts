/** Settings of a `stdout` sink, under the names of the configuration file. */
export interface StdoutSinkSettings {
  /** Series that are told apart; those beyond are folded into `~other`. */
  readonly maxSeries: number;
}
