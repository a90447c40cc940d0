/** Collector flags whose work needs knowledge that only the exporter has: they travel in Hello (`Settings` of stream.proto). */
export interface StreamSettings {
  readonly excludeNamespaces: readonly string[];
  readonly groupPublicIps: boolean;
  /** undefined: not set, so remote write gets growing counters and http gets deltas. */
  readonly sendTrafficDelta: boolean | undefined;
}
