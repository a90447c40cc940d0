import type { NetworkSettings } from '../networks/load.ts';
import type { SinkSettings } from '../sinks/settings.ts';

/** The exporter's configuration: file, then environment. Paths are absolute. */
export interface ExporterConfig extends NetworkSettings {
  /** Time between two snapshots, in milliseconds. */
  readonly exportIntervalMs: number;
  /** Path of the inventory, a file of nodes and pods; undefined: none. */
  readonly inventory: string | undefined;
  /** CIDRs of the cluster (`10.0.0.0/8`) beside those of Kubernetes or the inventory: never public. */
  readonly clusterRanges: readonly string[];
  /** CIDRs that are private and not the cluster's, whatever their numbers: never public. */
  readonly privateRanges: readonly string[];
  /** Traffic of addresses in no list counts for the node that saw it. */
  readonly keepUnlisted: boolean;
  readonly metrics: {
    /** `/metrics` has the traffic series too. */
    readonly flows: boolean;
  };
  readonly sinks: readonly SinkSettings[];
}

/** A configuration, or every mistake in it: `FILE: line 12: path: what was expected`. No line holds a secret. */
export type LoadedConfig =
  | {
      readonly ok: true;
      readonly config: ExporterConfig;
      /** Settings that are accepted and not used, and those that look wrong. */
      readonly warnings: readonly string[];
      /** Settings whose value looks like a secret that stands in the file itself. */
      readonly literalSecrets: readonly string[];
      /** The whole configuration as YAML, secrets masked: what `-config-check` prints. */
      readonly shown: string;
    }
  | { readonly ok: false; readonly mistakes: readonly string[] };
