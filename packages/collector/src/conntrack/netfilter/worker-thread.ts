import { closeSync } from 'node:fs';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
// The worker's native modules: one that no other thread holds is unmapped when a worker ends, under code that still runs.
import '../../native/netlink-socket.ts';
import { takeThread } from '../../native/threads.ts';
import 'netlink/dist/raw.js';
import type { ConnectionBlock } from '../record.ts';
import { SourceError } from '../source-error.ts';
import type { SysctlFiles } from './proc-files.ts';
import type { Answer, FromWorker, Request, ToWorker, WorkerEvent, WorkerOptions } from './worker-messages.ts';

/** Megabytes of JavaScript heap of the reading thread; its blocks lie outside. Young memory is small: it makes no garbage. */
const WORKER_LIMITS = { maxOldGenerationSizeMb: 48, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 };

/** What a worker posts without being asked. */
interface WorkerHandlers {
  /** Connections of a dump. The block may not be kept. */
  dumped(block: ConnectionBlock): void;
  /** Connections of DESTROY events. The block may not be kept. */
  destroyed(block: ConnectionBlock): void;
  other(event: Extract<WorkerEvent, { kind: 'eventLoss' | 'lossless' }>): void;
  /** A worker is ready: the first, or another after one that died. */
  ready(): void;
}

/** A request that is not answered yet. */
interface Pending {
  readonly kind: Request;
  resolve(message: Answer): void;
  reject(error: SourceError): void;
}

/** A worker that has opened what it reads. */
interface RunningWorker {
  readonly worker: Worker;
  readonly files: SysctlFiles;
  readonly blocks: readonly Uint32Array[];
  /** Open until the worker says that it has closed what it had open. */
  eventSocket?: number | undefined;
}

/**
 * The thread that runs `worker.ts`, and its protocol of requests and answers. Where it dies, what was asked for fails and the next
 * request starts another.
 */
export class WorkerThread {
  readonly #options: WorkerOptions;
  readonly #handlers: WorkerHandlers;
  readonly #pending = new Map<number, Pending>();
  #running: RunningWorker | undefined;
  #starting: Promise<RunningWorker> | undefined;
  #lastId = 0;

  constructor(options: WorkerOptions, handlers: WorkerHandlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  /** The files that the running worker has open; undefined where none runs. */
  get files(): SysctlFiles | undefined {
    return this.#running?.files;
  }

  /** Starts a worker where none runs. @throws SourceError where it cannot open what it is to read */
  async start(): Promise<void> {
    await this.#ensureRunning();
  }

  /** Asks the worker, starting one where none runs. @throws SourceError where it refuses, or dies before it answers */
  async request(kind: Request): Promise<Answer> {
    const { worker } = await this.#ensureRunning();
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { kind, resolve, reject });
      post(worker, { kind, id });
    });
  }

  async close(): Promise<void> {
    await this.#starting?.catch(() => undefined);
    const running = this.#running;
    if (running === undefined) return;
    await this.request('close');
    this.#running = undefined;
    await running.worker.terminate();
  }

  #ensureRunning(): Promise<RunningWorker> {
    if (this.#running !== undefined) return Promise.resolve(this.#running);
    this.#starting ??= this.#startWorker().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  #startWorker(): Promise<RunningWorker> {
    // Sources are .ts in a checkout and .js in an image.
    const file = new URL(`./worker${extname(import.meta.url)}`, import.meta.url);
    const releaseThread = takeThread();
    const worker = new Worker(fileURLToPath(file), { workerData: this.#options, resourceLimits: WORKER_LIMITS });
    let running: RunningWorker | undefined;
    return new Promise((resolve, reject) => {
      const end = (error: SourceError) => {
        reject(error);
        if (this.#running?.worker === worker) this.#workerEnded(error);
      };
      worker.on('error', (error: Error) => end(died(error.message)));
      worker.on('exit', (code) => {
        releaseThread();
        end(died(`exit code ${code}`));
        // The kernel would go on queueing events for a socket without a reader.
        if (running?.eventSocket !== undefined) closeSync(running.eventSocket);
      });
      worker.on('message', (message: FromWorker) => {
        if (message.kind === 'ready') {
          running = { ...message, worker };
          this.#running = running;
          this.#handlers.ready();
          resolve(running);
        } else if (message.kind === 'unusable') end(new SourceError(message.code, message.message));
        else if (running !== undefined) this.#receive(message, running);
      });
    });
  }

  #receive(message: WorkerEvent | Answer, running: RunningWorker): void {
    switch (message.kind) {
      case 'dumped':
      case 'destroyed':
        this.#handlers[message.kind]({ words: running.blocks[message.block]!, count: message.count });
        post(running.worker, { kind: 'recycle', block: message.block });
        break;
      case 'eventLoss':
      case 'lossless':
        this.#handlers.other(message);
        break;
      default:
        this.#settle(message, running);
    }
  }

  #settle(message: Answer, running: RunningWorker): void {
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    // At once, and not where the answer is waited for: the thread's exit may come right behind its answer.
    if (message.kind === 'closed') running.eventSocket = undefined;
    if (message.kind !== 'failed') {
      pending?.resolve(message);
      return;
    }
    // The worker has closed what it had open: it could have been in the middle of a dump.
    if (pending?.kind === 'read') {
      running.eventSocket = undefined;
      this.#running = undefined;
    }
    pending?.reject(new SourceError(message.code, message.message));
  }

  #workerEnded(error: SourceError): void {
    this.#running = undefined;
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
  }
}

function died(why: string): SourceError {
  return new SourceError('system', `the thread that reads conntrack ended (${why}); the next read starts another`);
}

function post(worker: Worker, message: ToWorker): void {
  worker.postMessage(message);
}
