import { Bug } from '@egressd/flow/bug';
import { EVENT_BUFFER_BYTES } from '../../native/event-socket.ts';
import type { ConnectionBlock } from '../record.ts';
import {
  type ConntrackSource,
  type ConntrackSysctls,
  type DestroyListener,
  type KernelView,
  NO_LOSS,
  type ReadReport,
  type TableState,
  UNKNOWN_SYSCTLS,
} from '../source.ts';
import { readSysctls } from './proc-files.ts';
import { readTable } from './statistics.ts';
import type { EventsMode, WorkerEvent, WorkerOptions } from './worker-messages.ts';
import { WorkerThread } from './worker-thread.ts';

/** Where and how the kernel's table is read. */
interface NetfilterOptions {
  /** Read the network namespace of process 1 instead of the own one: for a pod that shares the host's processes only. */
  readonly hostPid?: boolean;
  /** Where proc is mounted. */
  readonly procRoot?: string;
  /** File of another network namespace, such as `/var/run/netns/NAME`. */
  readonly namespace?: string;
  /** Listen for DESTROY events, from now on. Off unless said. */
  readonly events?: EventsMode;
  /** Bytes of events that the kernel may queue: for tests. */
  readonly eventBufferBytes?: number;
}

/**
 * Opens the kernel's own table. A thread does the reading; where it dies, what was asked for fails and the next read starts
 * another.
 * @throws SourceError where the table cannot be opened: no permission, no library, no conntrack in the kernel
 */
export async function openNetfilterSource(options: NetfilterOptions = {}): Promise<ConntrackSource> {
  const { hostPid = false, procRoot = '/proc', events = 'off' } = options;
  const { eventBufferBytes = EVENT_BUFFER_BYTES } = options;
  const namespace = options.namespace ?? (hostPid ? `${procRoot}/1/ns/net` : undefined);
  const source = new NetfilterSource({ namespace, events, eventBufferBytes });
  await source.start();
  return source;
}

class NetfilterSource implements ConntrackSource {
  readonly name = 'netfilter';
  readonly #thread: WorkerThread;
  readonly #listens: boolean;
  #listener: DestroyListener | undefined;
  #starts = 0;
  /** Of the read that is under way. */
  #onBlock: ((block: ConnectionBlock) => void) | undefined;
  #blockError: unknown;

  constructor(options: WorkerOptions) {
    this.#listens = options.events !== 'off';
    this.#thread = new WorkerThread(options, {
      dumped: (block) => this.#deliver(block),
      destroyed: (block) => this.#listener?.onDestroy(block),
      other: (event) => this.#notify(event),
      ready: () => this.#started(),
    });
  }

  start(): Promise<void> {
    return this.#thread.start();
  }

  async read(onBlock: (block: ConnectionBlock) => void): Promise<ReadReport> {
    if (this.#onBlock !== undefined) throw new Bug('a read began before the one before it ended');
    this.#onBlock = onBlock;
    this.#blockError = undefined;
    try {
      const answer = await this.#thread.request('read');
      if (this.#blockError !== undefined) throw this.#blockError;
      if (answer.kind !== 'read') throw new Bug(`asked for a read, got ${answer.kind}`);
      return answer.report;
    } finally {
      this.#onBlock = undefined;
    }
  }

  subscribe(listener: DestroyListener): void {
    this.#listener = listener;
  }

  sysctls(): ConntrackSysctls {
    const { files } = this.#thread;
    return files === undefined ? UNKNOWN_SYSCTLS : readSysctls(files);
  }

  table(): TableState | undefined {
    const { files } = this.#thread;
    return files === undefined ? undefined : readTable(files);
  }

  async blindSpots(): Promise<KernelView> {
    const answer = await this.#thread.request('blindSpots');
    if (answer.kind !== 'blindSpots') throw new Bug(`asked for blind spots, got ${answer.kind}`);
    return answer.view;
  }

  async nodeAddresses(): Promise<Uint8Array[]> {
    const answer = await this.#thread.request('addresses');
    if (answer.kind !== 'addresses') throw new Bug(`asked for addresses, got ${answer.kind}`);
    return answer.addresses;
  }

  close(): Promise<void> {
    return this.#thread.close();
  }

  #deliver(block: ConnectionBlock): void {
    try {
      this.#onBlock?.(block);
    } catch (error) {
      // The dump goes on to its end all the same, and then the read fails.
      this.#blockError ??= error;
    }
  }

  #notify(event: Extract<WorkerEvent, { kind: 'eventLoss' | 'lossless' }>): void {
    if (event.kind === 'eventLoss') this.#listener?.onEventLoss(event.report);
    else this.#listener?.onLosslessChange?.(event.change);
  }

  /** Between a worker that died and the next there was no listener. */
  #started(): void {
    if (this.#listens && this.#starts++ > 0) this.#listener?.onEventLoss({ ...NO_LOSS, gaps: 1 });
  }
}
