/**
 * The thread that owns the netlink sockets. A dump of a full table takes most of a second in the kernel, in calls that block:
 * here they hold up nobody. It loads as little as it can, since every module is loaded a second time.
 */
import { stat } from 'node:fs/promises';
import { workerData } from 'node:worker_threads';
import { type EventSocket, openEventSocket } from '../../native/event-socket.ts';
import { type ConntrackSocket, inNamespace, openConntrackSocket } from '../../native/netlink-socket.ts';
import { type AddressSocket, openAddressSocket } from '../node-addresses.ts';
import { type Blocks, probe, readAll } from './dump.ts';
import { EndReader } from './events.ts';
import { Lossless } from './lossless.ts';
import { closeSwitchFiles, openSwitchFiles, readNumber, readText, type SwitchFiles } from './proc-files.ts';
import { parseDrops } from './statistics.ts';
import { startWatchdog } from './watchdog.ts';
import type { Request, ToWorker, WorkerOptions } from './worker-messages.ts';
import { BLOCK_RECORDS, BLOCKS, type Circulation, circulate, newBlocks, port, reason, say } from './worker-port.ts';

/** The same for ends: a quarter of a second of four thousand a second. */
const END_BLOCK_RECORDS = 1024;
const END_BLOCKS = 2;
/** Between two looks for ends: each wakes the thread. The socket's buffer has room for more than ends in it. */
const DRAIN_INTERVAL_MS = 250;

const options = workerData as WorkerOptions;

/** Sockets and files, all of the namespace that is read. */
interface Sockets {
  readonly conntrack: ConntrackSocket;
  /** undefined: nobody wants to know of ends. */
  readonly events: EventSocket | undefined;
  readonly addresses: AddressSocket;
  readonly switches: SwitchFiles;
}

function openAll(): Sockets {
  const conntrack = openConntrackSocket(options.library);
  probe(conntrack);
  const addresses = openAddressSocket();
  const switches = openSwitchFiles();
  // Before the first dump: what ends from now on is told.
  const events = options.events === 'off' ? undefined : openEventSocket(options.eventBufferBytes, options.library);
  return { conntrack, events, addresses, switches };
}

function closeAll({ conntrack, events, addresses, switches }: Sockets): void {
  conntrack.close();
  events?.close();
  addresses.close();
  closeSwitchFiles(switches);
}

/** What reads connections and their ends. */
interface Readers {
  readonly sockets: Sockets;
  readonly blocks: Circulation;
  readonly ends: Ends | undefined;
}

/** Ends are delivered from the first read on, and then now and then. */
interface Ends {
  drain(): Promise<void>;
  /** Waits for the drain that is under way: the socket and its memory are in use until then. */
  stop(): Promise<void>;
}

function startEnds({ switches }: Sockets, socket: EventSocket, blocks: Blocks): Ends {
  const lost = () => parseDrops(readText(switches.sockets), socket.inode);
  const lossless = options.events === 'lossless' ? keepEnds(switches, socket) : undefined;
  const reader = new EndReader(socket, blocks, lost, () => lossless?.on !== true);
  const drain = async () => {
    await reader.drain();
    const change = lossless?.look();
    if (change !== undefined) say({ kind: 'lossless', change });
    const report = reader.report();
    if (report !== undefined) say({ kind: 'endsAmiss', report });
  };
  const timer = setInterval(drain, DRAIN_INTERVAL_MS);
  return {
    drain,
    async stop() {
      clearInterval(timer);
      await reader.drained();
      lossless?.close();
    },
  };
}

function keepEnds(switches: SwitchFiles, { fd }: EventSocket): Lossless {
  const fill = () => {
    const [entries, limit] = [readNumber(switches.entries), readNumber(switches.limit)];
    return entries === undefined || !limit ? undefined : entries / limit;
  };
  return new Lossless({ fd, fill, watch: () => startWatchdog(fd), now: () => performance.now() });
}

/** Answers requests until it is told to close, or a read fails: the socket may be in the middle of a dump then. */
function serve(sockets: Sockets): void {
  const all = [...newBlocks(BLOCKS, BLOCK_RECORDS), ...newBlocks(END_BLOCKS, END_BLOCK_RECORDS)];
  const blocks = circulate('block', all, 0, BLOCKS);
  const endBlocks = circulate('ended', all, BLOCKS, all.length);
  let ends: Ends | undefined;
  port.on('message', (message: ToWorker) => {
    if (message.kind === 'recycle') {
      if (!blocks.recycle(message.block)) endBlocks.recycle(message.block);
      return;
    }
    if (message.kind === 'read' && sockets.events !== undefined) ends ??= startEnds(sockets, sockets.events, endBlocks);
    answer({ sockets, blocks, ends }, message.kind, message.id).catch(async (error) => {
      if (message.kind === 'read') await stop({ sockets, ends });
      say({ kind: 'failed', id: message.id, ...reason(error) });
      if (message.kind === 'read') port.close();
    });
  });
  say({ kind: 'ready', switches: sockets.switches, blocks: all, eventSocket: sockets.events?.fd });
}

async function answer({ sockets, blocks, ends }: Readers, kind: Request, id: number): Promise<void> {
  const { conntrack, addresses, switches } = sockets;
  switch (kind) {
    case 'read': {
      await ends?.drain();
      const report = await readAll(conntrack, blocks, () => readNumber(switches.buckets), ends?.drain);
      await ends?.drain();
      say({ kind, id, report });
      break;
    }
    case 'addresses':
      say({ kind, id, addresses: await addresses.read() });
      break;
    case 'close':
      await stop({ sockets, ends });
      say({ kind: 'closed', id });
      port.close();
  }
}

async function stop({ sockets, ends }: Pick<Readers, 'sockets' | 'ends'>): Promise<void> {
  await ends?.stop();
  closeAll(sockets);
}

try {
  // Threads of libuv's pool keep the namespace of the thread that starts them: they start here, before it is left.
  await stat('/');
  const { namespace } = options;
  serve(namespace === undefined ? openAll() : inNamespace(namespace, openAll));
} catch (error) {
  say({ kind: 'unusable', ...reason(error) });
}
