/**
 * The thread that owns the netlink sockets. A dump of a full table takes most of a second in the kernel, in calls that block:
 * here they hold up nobody. It loads as little as it can, since every module is loaded a second time.
 */
import { stat } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { type AddressSocket, openAddressSocket } from './addresses.ts';
import { type ConntrackSocket, inNamespace, openConntrackSocket } from './ffi.ts';
import type { FromWorker, Request, ToWorker, WorkerOptions } from './messages.ts';
import { type Blocks, probe, readAll } from './reading.ts';
import { STRIDE } from './record.ts';
import { SourceError, type SourceErrorCode } from './source.ts';
import { closeSwitchFiles, openSwitchFiles, readNumber, type SwitchFiles } from './switches.ts';

/** Records in a block: 512 KiB. */
const BLOCK_RECORDS = 4096;
/** Blocks that exist: one is filled while others are on their way. A slow reader makes the dump pause. */
const BLOCKS = 4;

const port = parentPort ?? bug('the worker was not started as one');
const options = workerData as WorkerOptions;

function bug(what: string): never {
  throw new Error(`BUG: ${what}`);
}

function say(message: FromWorker): void {
  port.postMessage(message);
}

function reason(error: unknown): { code: SourceErrorCode; message: string } {
  const code = error instanceof SourceError ? error.code : 'system';
  return { code, message: error instanceof Error ? error.message : String(error) };
}

/** Sockets and files, all of the namespace that is read. */
interface Sockets {
  readonly conntrack: ConntrackSocket;
  readonly addresses: AddressSocket;
  readonly switches: SwitchFiles;
}

function openAll(): Sockets {
  const conntrack = openConntrackSocket(options.library);
  probe(conntrack);
  return { conntrack, addresses: openAddressSocket(), switches: openSwitchFiles() };
}

function closeAll({ conntrack, addresses, switches }: Sockets): void {
  conntrack.close();
  addresses.close();
  closeSwitchFiles(switches);
}

/**
 * Blocks that go to the main thread and come back, by number: `take` waits for the first that returns. Their memory is shared and
 * never moves.
 */
function circulatingBlocks(): Blocks & { recycle(block: number): void } {
  const bytes = BLOCK_RECORDS * STRIDE * Uint32Array.BYTES_PER_ELEMENT;
  const all = Array.from({ length: BLOCKS }, () => new Uint32Array(new SharedArrayBuffer(bytes)));
  const free = [...all.keys()];
  let waiting: ((block: number) => void) | undefined;
  return {
    all,
    take() {
      const block = free.pop();
      if (block !== undefined) return block;
      return new Promise((resolve) => {
        waiting = resolve;
      });
    },
    give: (block, count) => say({ kind: 'block', block, count }),
    recycle(block) {
      if (waiting === undefined) free.push(block);
      else waiting(block);
      waiting = undefined;
    },
  };
}

/** Answers requests until it is told to close, or a read fails: the socket may be in the middle of a dump then. */
function serve(sockets: Sockets): void {
  const blocks = circulatingBlocks();
  port.on('message', (message: ToWorker) => {
    if (message.kind === 'recycle') {
      blocks.recycle(message.block);
      return;
    }
    answer(sockets, blocks, message.kind, message.id).catch((error) => {
      if (message.kind === 'read') closeAll(sockets);
      say({ kind: 'failed', id: message.id, ...reason(error) });
      if (message.kind === 'read') port.close();
    });
  });
  say({ kind: 'ready', switches: sockets.switches, blocks: blocks.all });
}

async function answer(sockets: Sockets, blocks: Blocks, kind: Request, id: number): Promise<void> {
  const { conntrack, addresses, switches } = sockets;
  switch (kind) {
    case 'read':
      say({ kind, id, report: await readAll(conntrack, blocks, () => readNumber(switches.buckets)) });
      break;
    case 'addresses':
      say({ kind, id, addresses: await addresses.read() });
      break;
    case 'close':
      closeAll(sockets);
      say({ kind: 'closed', id });
      port.close();
  }
}

try {
  // Threads of libuv's pool keep the namespace of the thread that starts them: they start here, before it is left.
  await stat('/');
  const { namespace } = options;
  serve(namespace === undefined ? openAll() : inNamespace(namespace, openAll));
} catch (error) {
  say({ kind: 'unusable', ...reason(error) });
}
