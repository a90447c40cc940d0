import type { LabelChoice } from '../label-sets/settings.ts';

/** Settings of a `file` sink, under the names of the configuration file. */
export interface FileSinkSettings extends LabelChoice {
  /** Absolute. Rotated files are beside it: `PATH.1` is the newest of them. */
  readonly path: string;
  /** Size in MiB at which a file is full and rotated. */
  readonly maxSizeMB: number;
  /** Files that are kept, the one that is written included. */
  readonly maxFiles: number;
  /** Cardinality limit: series beyond are folded into `~other`. */
  readonly maxSeries: number;
}

/** Where nothing is set: 500 MiB in all. */
export const DEFAULT_MAX_SIZE_MB = 100;
export const DEFAULT_MAX_FILES = 5;
