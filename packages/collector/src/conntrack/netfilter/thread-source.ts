import { closeSync } from 'node:fs';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Bug } from '@egressd/flow/bug';
// The worker's native modules: one that no other thread holds is unmapped when a worker ends, under code that still runs.
import '../../native/netlink-socket.ts';
import 'netlink/dist/raw.js';
import type { ConnectionBlock } from '../record.ts';
import { type ConntrackSource, NO_SWITCHES, type ReadReport, type SourceSwitches } from '../source.ts';
import { SourceError } from '../source-error.ts';
import type { SwitchFiles } from './proc-files.ts';
import type { Answer, FromWorker, Request, ToWorker } from './worker-messages.ts';

/** Megabytes of JavaScript heap of the reading thread; its blocks lie outside. Young memory is small: it makes no garbage. */
const WORKER_LIMITS = { maxOldGenerationSizeMb: 48, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 };

/** What waits for an answer of the worker. */
interface Pending {
  readonly kind: Request;
  resolve(message: Answer): void;
  reject(error: SourceError): void;
}

/** A running worker: ready once it has opened what it reads. */
export interface Reader {
  readonly worker: Worker;
  readonly switches: SwitchFiles;
  readonly blocks: readonly Uint32Array[];
  /** Open until the worker says that it has closed what it had open. */
  eventSocket?: number | undefined;
}

/** What a worker says beside answers. */
export type Told = Extract<FromWorker, { kind: 'ended' | 'endsAmiss' | 'lossless' }>;

/**
 * A source that is read by a thread of its own. Where it dies, what was asked for fails and the next read starts another.
 * Subclasses say which worker, and take what theirs tells beside answers.
 */
export abstract class ThreadSource implements ConntrackSource {
  abstract readonly name: ConntrackSource['name'];
  /** The worker's file: beside `thread-source`, without its end. */
  protected abstract readonly file: string;
  protected reader: Reader | undefined;
  readonly #workerData: unknown;
  readonly #pending = new Map<number, Pending>();
  #starting: Promise<Reader> | undefined;
  #lastId = 0;
  #onBlock: ((block: ConnectionBlock) => void) | undefined;
  #blockError: unknown;

  /** @param workerData what the worker is started with */
  constructor(workerData: unknown) {
    this.#workerData = workerData;
  }

  async read(onBlock: (block: ConnectionBlock) => void): Promise<ReadReport> {
    if (this.#onBlock !== undefined) throw new Bug('a read began before the one before it ended');
    this.#onBlock = onBlock;
    this.#blockError = undefined;
    try {
      const answer = await this.#ask('read');
      if (this.#blockError !== undefined) throw this.#blockError;
      if (answer.kind !== 'read') throw new Bug(`asked for a read, got ${answer.kind}`);
      return answer.report;
    } finally {
      this.#onBlock = undefined;
    }
  }

  switches(): SourceSwitches {
    return NO_SWITCHES;
  }

  async nodeAddresses(): Promise<Uint8Array[]> {
    const answer = await this.#ask('addresses');
    if (answer.kind !== 'addresses') throw new Bug(`asked for addresses, got ${answer.kind}`);
    return answer.addresses;
  }

  async close(): Promise<void> {
    await this.#starting?.catch(() => undefined);
    const reader = this.reader;
    if (reader === undefined) return;
    await this.#ask('close');
    this.reader = undefined;
    await reader.worker.terminate();
  }

  /** The running worker, or a fresh one. @throws SourceError where it cannot open what it is to read */
  start(): Promise<Reader> {
    if (this.reader !== undefined) return Promise.resolve(this.reader);
    this.#starting ??= this.#startWorker().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  /** A worker has started. */
  protected started(): void {}

  /** The worker tells something that it was not asked for. */
  protected told(_message: Told, _reader: Reader): void {}

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
    const file = new URL(`${this.file}${extname(import.meta.url)}`, import.meta.url);
    const worker = new Worker(fileURLToPath(file), { workerData: this.#workerData, resourceLimits: WORKER_LIMITS });
    let reader: Reader | undefined;
    return new Promise((resolve, reject) => {
      const end = (error: SourceError) => {
        reject(error);
        if (this.reader?.worker === worker) this.#readerEnded(error);
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
          this.reader = reader;
          this.started();
          resolve(reader);
        } else if (message.kind === 'unusable') end(new SourceError(message.code, message.message));
        else if (reader !== undefined) this.#receive(message, reader);
      });
    });
  }

  #receive(message: Exclude<FromWorker, { kind: 'ready' | 'unusable' }>, reader: Reader): void {
    if (message.kind === 'block') {
      this.#deliver({ words: reader.blocks[message.block]!, count: message.count });
      tell(reader.worker, { kind: 'recycle', block: message.block });
    } else if (message.kind === 'ended' || message.kind === 'endsAmiss' || message.kind === 'lossless')
      this.told(message, reader);
    else this.#settle(message, reader);
  }

  #settle(message: Answer, reader: Reader): void {
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    // At once, and not where the answer is waited for: the thread's exit may come right behind its answer.
    if (message.kind === 'closed') reader.eventSocket = undefined;
    if (message.kind !== 'failed') {
      pending?.resolve(message);
      return;
    }
    // The worker has closed what it had open: it could have been in the middle of a reading.
    if (pending?.kind === 'read') {
      reader.eventSocket = undefined;
      this.reader = undefined;
    }
    pending?.reject(new SourceError(message.code, message.message));
  }

  #deliver(block: ConnectionBlock): void {
    try {
      this.#onBlock?.(block);
    } catch (error) {
      // The reading goes on to its end all the same, and then the read fails.
      this.#blockError ??= error;
    }
  }

  #readerEnded(error: SourceError): void {
    this.reader = undefined;
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
  }
}

function died(why: string): SourceError {
  return new SourceError('system', `the thread that reads conntrack ended (${why}); the next read starts another`);
}

export function tell(worker: Worker, message: ToWorker): void {
  worker.postMessage(message);
}
