import type { EventLossReport, KernelView, LosslessChange, ReadReport } from '../source.ts';
import type { SourceErrorCode } from '../source-error.ts';
import type { SysctlFiles } from './proc-files.ts';

/** What the worker is started with. */
export interface WorkerOptions {
  /** File of the network namespace to read, such as `/proc/1/ns/net`; undefined: the process's own. */
  readonly namespace?: string | undefined;
  /** Whether to listen for DESTROY events. */
  readonly events: EventsMode;
  /** Bytes of events that the kernel may queue. */
  readonly eventBufferBytes: number;
}

/** `-conntrack-events`. `lossless`: the kernel keeps a connection until its DESTROY event was delivered, under a watchdog. */
export type EventsMode = 'on' | 'off' | 'lossless';

/** What the worker can be asked for. */
export type Request = 'read' | 'addresses' | 'blindSpots' | 'close';

/** To the worker. Requests are answered with the same `id`. */
export type ToWorker =
  | { readonly kind: Request; readonly id: number }
  /** A block, by its number, may be filled again. */
  | { readonly kind: 'recycle'; readonly block: number };

/** What a request is answered with. */
export type Answer =
  | { readonly kind: 'read'; readonly id: number; readonly report: ReadReport }
  | { readonly kind: 'addresses'; readonly id: number; readonly addresses: Uint8Array[] }
  | { readonly kind: 'blindSpots'; readonly id: number; readonly view: KernelView }
  | { readonly kind: 'closed'; readonly id: number }
  | { readonly kind: 'failed'; readonly id: number; readonly code: SourceErrorCode; readonly message: string };

/** What the worker posts without being asked: connections, and what happens to their DESTROY events. */
export type WorkerEvent =
  /** A block, by its number, has been filled with connections of a dump, and is the receiver's until it sends it back. */
  | { readonly kind: 'dumped'; readonly block: number; readonly count: number }
  /** The same with connections of DESTROY events. */
  | { readonly kind: 'destroyed'; readonly block: number; readonly count: number }
  /** Comes after the events that were delivered. */
  | { readonly kind: 'eventLoss'; readonly report: EventLossReport }
  | { readonly kind: 'lossless'; readonly change: LosslessChange };

/** From the worker. */
export type FromWorker =
  /** Everything is open; the descriptors stay the worker's. The blocks are memory that both threads see. */
  | {
      readonly kind: 'ready';
      readonly files: SysctlFiles;
      readonly blocks: readonly Uint32Array[];
      /** Descriptor of the socket of DESTROY events. */
      readonly eventSocket?: number | undefined;
    }
  /** Something could not be opened, and the worker ends. */
  | { readonly kind: 'unusable'; readonly code: SourceErrorCode; readonly message: string }
  | WorkerEvent
  | Answer;
