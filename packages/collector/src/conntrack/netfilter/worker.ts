/**
 * The thread that owns the netlink sockets. A dump of a full table takes most of a second in the kernel, in calls that block: here
 * they do not block the event loop of the main thread. It loads as little as it can, since every module is loaded a second time.
 */
import { stat } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { Bug } from '@egressd/flow/bug';
import { type EventSocket, openEventSocket } from '../../native/event-socket.ts';
import { type ConntrackSocket, openConntrackSocket } from '../../native/netlink-socket.ts';
import { inNamespace } from '../../native/netns.ts';
import { type AddressSocket, openAddressSocket } from '../node-addresses.ts';
import type { KernelView } from '../source.ts';
import { SourceError, type SourceErrorCode } from '../source-error.ts';
import { kernelView, readBlindSpotFiles } from './blind-spots.ts';
import { BufferPool, sharedBlocks } from './buffer-pool.ts';
import { type EventDrain, startDrain } from './drain.ts';
import { probeDump, readAll } from './dump.ts';
import { type FlowtableSocket, openFlowtableSocket } from './flowtables.ts';
import { type LinkSocket, openLinkSocket } from './links.ts';
import { closeSysctlFiles, openSysctlFiles, readNumber, type SysctlFiles } from './proc-files.ts';
import type { FromWorker, Request, ToWorker, WorkerOptions } from './worker-messages.ts';

/** Records in a block of a dump: 512 KiB. */
const DUMP_BLOCK_RECORDS = 4096;
/** Blocks of dumps: one is filled while others are on their way. A slow reader makes the dump pause. */
const DUMP_BLOCKS = 4;
/** The same for DESTROY events: a quarter of a second of four thousand a second. */
const EVENT_BLOCK_RECORDS = 1024;
const EVENT_BLOCKS = 2;

const options = workerData as WorkerOptions;
const port = parentPort ?? notAWorker();

function notAWorker(): never {
  throw new Bug('the worker was not started as one');
}

/** Runs it in the network namespace that is read. */
function inReadNamespace<T>(body: () => T): T {
  return options.namespace === undefined ? body() : inNamespace(options.namespace, body);
}

function post(message: FromWorker): void {
  port.postMessage(message);
}

/** Sockets and files, all of the namespace that is read. */
interface Sockets {
  readonly conntrack: ConntrackSocket;
  /** undefined: DESTROY events are off. */
  readonly events: EventSocket | undefined;
  readonly addresses: AddressSocket;
  readonly links: LinkSocket;
  readonly flowtables: FlowtableSocket;
  readonly files: SysctlFiles;
}

function openAll(): Sockets {
  const conntrack = openConntrackSocket();
  probeDump(conntrack);
  const addresses = openAddressSocket();
  const links = openLinkSocket();
  const flowtables = openFlowtableSocket();
  const files = openSysctlFiles();
  // Before the first dump: what leaves the table from now on gives an event.
  const events = options.events === 'off' ? undefined : openEventSocket(options.eventBufferBytes);
  return { conntrack, events, addresses, links, flowtables, files };
}

function closeAll({ conntrack, events, addresses, links, flowtables, files }: Sockets): void {
  conntrack.close();
  events?.close();
  addresses.close();
  links.close();
  flowtables.close();
  closeSysctlFiles(files);
}

/** What reads connections and their DESTROY events. */
interface Readers {
  readonly sockets: Sockets;
  readonly dumpPool: BufferPool;
  /** From the first read on, where events are on. */
  readonly drain: EventDrain | undefined;
}

/** Answers requests until it is asked to close, or a read fails: the socket may be in the middle of a dump then. */
function serve(sockets: Sockets): void {
  const all = [...sharedBlocks(DUMP_BLOCKS, DUMP_BLOCK_RECORDS), ...sharedBlocks(EVENT_BLOCKS, EVENT_BLOCK_RECORDS)];
  const dumpPool = new BufferPool(all, 0, DUMP_BLOCKS, (block, count) => post({ kind: 'dumped', block, count }));
  const eventPool = new BufferPool(all, DUMP_BLOCKS, all.length, (block, count) =>
    post({ kind: 'destroyed', block, count }),
  );
  let drain: EventDrain | undefined;
  port.on('message', (message: ToWorker) => {
    if (message.kind === 'recycle') {
      if (!dumpPool.recycle(message.block)) eventPool.recycle(message.block);
      return;
    }
    if (message.kind === 'read' && sockets.events !== undefined)
      drain ??= startDrain(options.events, sockets.files, sockets.events, eventPool, post);
    answer({ sockets, dumpPool, drain }, message.kind, message.id).catch(async (error) => {
      if (message.kind === 'read') await stop({ sockets, drain });
      post({ kind: 'failed', id: message.id, ...failure(error) });
      if (message.kind === 'read') port.close();
    });
  });
  post({ kind: 'ready', files: sockets.files, blocks: all, eventSocket: sockets.events?.fd });
}

async function answer({ sockets, dumpPool, drain }: Readers, kind: Request, id: number): Promise<void> {
  const { conntrack, addresses, files } = sockets;
  switch (kind) {
    case 'read': {
      await drain?.drain();
      const report = await readAll(conntrack, dumpPool, () => readNumber(files.buckets), drain?.drain);
      await drain?.drain();
      post({ kind, id, report });
      break;
    }
    case 'addresses':
      post({ kind, id, addresses: await addresses.read() });
      break;
    case 'blindSpots':
      post({ kind, id, view: await viewKernel(sockets) });
      break;
    case 'close':
      await stop({ sockets, drain });
      post({ kind: 'closed', id });
      port.close();
  }
}

async function viewKernel({ links, flowtables }: Sockets): Promise<KernelView> {
  return kernelView({
    links: await links.read(),
    flowtables: await flowtables.read(),
    // They come and go with modules, so they are opened anew, and where the sockets are.
    files: inReadNamespace(readBlindSpotFiles),
  });
}

async function stop({ sockets, drain }: Pick<Readers, 'sockets' | 'drain'>): Promise<void> {
  await drain?.stop();
  closeAll(sockets);
}

function failure(error: unknown): { code: SourceErrorCode; message: string } {
  const code = error instanceof SourceError ? error.code : 'system';
  return { code, message: error instanceof Error ? error.message : String(error) };
}

try {
  // Threads of libuv's pool keep the namespace of the thread that starts them: they start here, before it is left.
  await stat('/');
  serve(inReadNamespace(openAll));
} catch (error) {
  post({ kind: 'unusable', ...failure(error) });
}
