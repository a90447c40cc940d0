import type { SinkSettings } from '../sinks/settings.ts';

/** What the exporter is told to do: file, then environment. Paths are absolute. */
export interface ExporterConfig {
  /** The exporter's own address and namespace in the cluster; empty where nobody said. */
  readonly podIP: string;
  readonly podNamespace: string;
  /** Time between two snapshots, in milliseconds. */
  readonly exportIntervalMs: number;
  /** File of nodes and pods; undefined: none. */
  readonly inventory: string | undefined;
  /** Ranges of the cluster's own (`10.0.0.0/8`) beside those that Kubernetes or the inventory tell: never public. */
  readonly clusterRanges: readonly string[];
  readonly metrics: {
    /** `/metrics` also carries the traffic series. */
    readonly flows: boolean;
  };
  readonly sinks: readonly SinkSettings[];
}

/** A configuration, or everything that is wrong with it: `FILE: line 12: path: what was expected`. No line holds a secret. */
export type LoadedConfig =
  | {
      readonly ok: true;
      readonly config: ExporterConfig;
      /** Settings that are accepted and do nothing. */
      readonly warnings: readonly string[];
      /** The whole configuration as YAML, secrets masked: what `-config-check` prints. */
      readonly shown: string;
    }
  | { readonly ok: false; readonly mistakes: readonly string[] };
