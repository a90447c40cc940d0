import { EVENT_BUFFER_BYTES } from '../../native/event-socket.ts';
import {
  type ConntrackSource,
  type EndsListener,
  NO_SWITCHES,
  NOTHING_AMISS,
  type SourceSwitches,
  type TableState,
} from '../source.ts';
import { readSwitches } from './proc-files.ts';
import { readTable } from './statistics.ts';
import { type Reader, ThreadSource, type Told, tell } from './thread-source.ts';
import type { EventsMode, WorkerOptions } from './worker-messages.ts';

/** Where and how the kernel's table is read. */
export interface NetfilterOptions {
  /** Read the network namespace of process 1 instead of the own one: for a pod that shares the host's processes only. */
  readonly hostPid?: boolean;
  /** Where proc is mounted. */
  readonly procRoot?: string;
  /** File of another network namespace, such as `/var/run/netns/NAME`. */
  readonly namespace?: string;
  /** Another file than Debian's name for libnetfilter_conntrack. */
  readonly library?: string;
  /** Listen for the ends of connections, from now on. Off unless said. */
  readonly events?: EventsMode;
  /** Bytes of events that may wait in the kernel: for tests. */
  readonly eventBufferBytes?: number;
}

/**
 * Opens the kernel's own table. A thread does the reading; where it dies, what was asked for fails and the next read starts
 * another.
 * @throws SourceError where the table cannot be opened: no permission, no library, no conntrack in the kernel
 */
export async function openNetfilterSource(options: NetfilterOptions = {}): Promise<ConntrackSource> {
  const { hostPid = false, procRoot = '/proc', library, events = 'off' } = options;
  const { eventBufferBytes = EVENT_BUFFER_BYTES } = options;
  const namespace = options.namespace ?? (hostPid ? `${procRoot}/1/ns/net` : undefined);
  const source = new NetfilterSource({ namespace, library, events, eventBufferBytes });
  await source.start();
  return source;
}

class NetfilterSource extends ThreadSource {
  readonly name = 'netfilter';
  protected readonly file = './worker';
  readonly #listens: boolean;
  #listener: EndsListener | undefined;
  #starts = 0;

  constructor(options: WorkerOptions) {
    super(options);
    this.#listens = options.events !== 'off';
  }

  follow(listener: EndsListener): void {
    this.#listener = listener;
  }

  override switches(): SourceSwitches {
    return this.reader === undefined ? NO_SWITCHES : readSwitches(this.reader.switches);
  }

  table(): TableState | undefined {
    return this.reader === undefined ? undefined : readTable(this.reader.switches);
  }

  protected override started(): void {
    if (this.#listens && this.#starts++ > 0) this.#listener?.endsAmiss({ ...NOTHING_AMISS, gaps: 1 });
  }

  protected override told(message: Told, { blocks, worker }: Reader): void {
    if (message.kind === 'endsAmiss') {
      this.#listener?.endsAmiss(message.report);
    } else if (message.kind === 'lossless') {
      this.#listener?.losslessChanged?.(message.change);
    } else {
      this.#listener?.ended({ words: blocks[message.block]!, count: message.count });
      tell(worker, { kind: 'recycle', block: message.block });
    }
  }
}
