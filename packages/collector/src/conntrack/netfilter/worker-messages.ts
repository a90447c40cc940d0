import type { EndsReport, LosslessChange, ReadReport } from '../source.ts';
import type { SourceErrorCode } from '../source-error.ts';
import type { SwitchFiles } from './proc-files.ts';

/** What the worker is started with. */
export interface WorkerOptions {
  /** File of the network namespace to read, such as `/proc/1/ns/net`; undefined: the process's own. */
  readonly namespace?: string | undefined;
  /** Another file than Debian's name for libnetfilter_conntrack: for tests. */
  readonly library?: string | undefined;
  /** Listen for the ends of connections. */
  readonly events: EventsMode;
  /** Bytes of events that may wait in the kernel. */
  readonly eventBufferBytes: number;
}

/** `lossless`: the kernel keeps a connection until its end was told, under a watchdog. */
export type EventsMode = 'on' | 'off' | 'lossless';

/** What the worker is asked for. */
export type Request = 'read' | 'addresses' | 'close';

/** To the worker. Requests are answered with the same `id`. */
export type ToWorker =
  | { readonly kind: Request; readonly id: number }
  /** A block, by its number, may be filled again. */
  | { readonly kind: 'recycle'; readonly block: number };

/** What a request is answered with. */
export type Answer =
  | { readonly kind: 'read'; readonly id: number; readonly report: ReadReport }
  | { readonly kind: 'addresses'; readonly id: number; readonly addresses: Uint8Array[] }
  | { readonly kind: 'closed'; readonly id: number }
  | { readonly kind: 'failed'; readonly id: number; readonly code: SourceErrorCode; readonly message: string };

/** From the worker. */
export type FromWorker =
  /** Everything is open; the descriptors stay the worker's. The blocks are memory that both threads see. */
  | {
      readonly kind: 'ready';
      readonly switches: SwitchFiles;
      readonly blocks: readonly Uint32Array[];
      /** The socket of end events. */
      readonly eventSocket?: number | undefined;
    }
  /** Something could not be opened, and the worker ends. */
  | { readonly kind: 'unusable'; readonly code: SourceErrorCode; readonly message: string }
  /** A block, by its number, has been filled with connections, and is the receiver's until it sends it back. */
  | { readonly kind: 'block'; readonly block: number; readonly count: number }
  /** The same with connections that have ended. */
  | { readonly kind: 'ended'; readonly block: number; readonly count: number }
  /** What was amiss with ends, after those that were delivered. */
  | { readonly kind: 'endsAmiss'; readonly report: EndsReport }
  /** The kernel keeps ended connections from now on, or why it no longer does. */
  | { readonly kind: 'lossless'; readonly change: LosslessChange }
  | Answer;
