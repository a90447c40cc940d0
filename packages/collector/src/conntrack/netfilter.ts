import { closeSync } from 'node:fs';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
// The worker's native modules: one that no other thread holds is unmapped when a worker ends, under code that still runs.
import './ffi.ts';
import 'netlink/dist/raw.js';
import { EVENT_BUFFER_BYTES } from './ffi-events.ts';
import type { Answer, EventsMode, FromWorker, Request, ToWorker, WorkerOptions } from './messages.ts';
import type { ConnectionBlock } from './record.ts';
import {
  type ConntrackSource,
  type EndsListener,
  NOTHING_AMISS,
  type ReadReport,
  SourceError,
  type SourceSwitches,
  type TableState,
} from './source.ts';
import { readSwitches, type SwitchFiles } from './switches.ts';
import { readTable } from './table.ts';

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

/** Megabytes of JavaScript heap of the reading thread; its blocks lie outside. Young memory is small: it makes no garbage. */
const WORKER_LIMITS = { maxOldGenerationSizeMb: 48, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 };

const NO_SWITCHES: SourceSwitches = { accounting: undefined, timestamps: undefined, events: undefined };

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

/** What waits for an answer of the worker. */
interface Pending {
  readonly kind: Request;
  resolve(message: Answer): void;
  reject(error: SourceError): void;
}

/** A running worker: ready once it has opened its sockets. */
interface Reader {
  readonly worker: Worker;
  readonly switches: SwitchFiles;
  readonly blocks: readonly Uint32Array[];
  /** Open until the worker says that it has closed it. */
  eventSocket: number | undefined;
}

class NetfilterSource implements ConntrackSource {
  readonly name = 'netfilter';
  readonly #options: WorkerOptions;
  readonly #pending = new Map<number, Pending>();
  #reader: Reader | undefined;
  #starting: Promise<Reader> | undefined;
  #lastId = 0;
  #onBlock: ((block: ConnectionBlock) => void) | undefined;
  #blockError: unknown;
  #listener: EndsListener | undefined;
  #started = 0;

  constructor(options: WorkerOptions) {
    this.#options = options;
  }

  async read(onBlock: (block: ConnectionBlock) => void): Promise<ReadReport> {
    if (this.#onBlock !== undefined) throw new Error('BUG: a read began before the one before it ended');
    this.#onBlock = onBlock;
    this.#blockError = undefined;
    try {
      const answer = await this.#ask('read');
      if (this.#blockError !== undefined) throw this.#blockError;
      if (answer.kind !== 'read') throw new Error(`BUG: asked for a read, got ${answer.kind}`);
      return answer.report;
    } finally {
      this.#onBlock = undefined;
    }
  }

  follow(listener: EndsListener): void {
    this.#listener = listener;
  }

  switches(): SourceSwitches {
    return this.#reader === undefined ? NO_SWITCHES : readSwitches(this.#reader.switches);
  }

  table(): TableState | undefined {
    return this.#reader === undefined ? undefined : readTable(this.#reader.switches);
  }

  async nodeAddresses(): Promise<Uint8Array[]> {
    const answer = await this.#ask('addresses');
    if (answer.kind !== 'addresses') throw new Error(`BUG: asked for addresses, got ${answer.kind}`);
    return answer.addresses;
  }

  async close(): Promise<void> {
    await this.#starting?.catch(() => undefined);
    const reader = this.#reader;
    if (reader === undefined) return;
    await this.#ask('close');
    reader.eventSocket = undefined;
    this.#reader = undefined;
    await reader.worker.terminate();
  }

  /** The running worker, or a fresh one. */
  start(): Promise<Reader> {
    if (this.#reader !== undefined) return Promise.resolve(this.#reader);
    this.#starting ??= this.#startWorker().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  async #ask(kind: Request): Promise<Answer> {
    const { worker } = await this.start();
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { kind, resolve, reject });
      tell(worker, { kind, id });
    });
  }

  #startWorker(): Promise<Reader> {
    // Sources are .ts in a checkout and .js in an image.
    const file = new URL(`./worker${extname(import.meta.url)}`, import.meta.url);
    const worker = new Worker(fileURLToPath(file), { workerData: this.#options, resourceLimits: WORKER_LIMITS });
    let reader: Reader | undefined;
    return new Promise((resolve, reject) => {
      const end = (error: SourceError) => {
        reject(error);
        if (this.#reader?.worker === worker) this.#readerEnded(error);
      };
      worker.on('error', (error: Error) => end(died(error.message)));
      worker.on('exit', (code) => {
        end(died(`exit code ${code}`));
        // The kernel would go on telling a socket that nobody reads.
        if (reader?.eventSocket !== undefined) closeSync(reader.eventSocket);
      });
      worker.on('message', (message: FromWorker) => {
        if (message.kind === 'ready') {
          reader = { ...message, worker };
          resolve(this.#readerStarted(reader));
        } else if (message.kind === 'unusable') end(new SourceError(message.code, message.message));
        else if (reader !== undefined) this.#receive(message, reader);
      });
    });
  }

  #readerStarted(reader: Reader): Reader {
    this.#reader = reader;
    if (this.#options.events !== 'off' && this.#started++ > 0) this.#listener?.endsAmiss({ ...NOTHING_AMISS, gaps: 1 });
    return reader;
  }

  #receive(message: Exclude<FromWorker, { kind: 'ready' | 'unusable' }>, reader: Reader): void {
    const { blocks, worker } = reader;
    if (message.kind === 'block' || message.kind === 'ended') {
      const block = { words: blocks[message.block]!, count: message.count };
      if (message.kind === 'block') this.#deliver(block);
      else this.#listener?.ended(block);
      tell(worker, { kind: 'recycle', block: message.block });
    } else if (message.kind === 'endsAmiss') this.#listener?.endsAmiss(message.report);
    else if (message.kind === 'lossless') this.#listener?.losslessChanged?.(message.change);
    else this.#settle(message, reader);
  }

  #settle(message: Answer, reader: Reader): void {
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.kind !== 'failed') {
      pending?.resolve(message);
      return;
    }
    // The worker has closed its sockets: they could have been in the middle of a dump.
    if (pending?.kind === 'read') {
      reader.eventSocket = undefined;
      this.#reader = undefined;
    }
    pending?.reject(new SourceError(message.code, message.message));
  }

  #deliver(block: ConnectionBlock): void {
    try {
      this.#onBlock?.(block);
    } catch (error) {
      // The dump goes on to its end all the same, and then the read fails.
      this.#blockError ??= error;
    }
  }

  #readerEnded(error: SourceError): void {
    this.#reader = undefined;
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
  }
}

function died(why: string): SourceError {
  return new SourceError('system', `the thread that reads conntrack ended (${why}); the next read starts another`);
}

function tell(worker: Worker, message: ToWorker): void {
  worker.postMessage(message);
}
