import type { HttpSettings } from '../http/settings.ts';

/** Settings of an `http` sink, under the names of the configuration file. */
export interface HttpSinkSettings extends HttpSettings {
  readonly method: 'POST' | 'PUT';
  /** `Content-Encoding` of a body; empty: none. */
  readonly compression: 'gzip' | '';
  /** `protobuf`: a `PodNetworkMetricBatch`. `json`: one object a line. */
  readonly encoding: 'protobuf' | 'json';
  /** Cardinality limit: series at the receiver; those beyond are folded into `~other`. */
  readonly maxSeries: number;
}
