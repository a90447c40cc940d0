import { setTimeout as sleep } from 'node:timers/promises';
import { openConntrackSocket } from '@egressd/collector/native/netlink-socket';
import { inNamespace } from '@egressd/collector/native/netns';
import { Bug } from '@egressd/flow/bug';
import { CASES, type Case } from './cases.ts';
import { type LibraryEntry, parseWithLibrary } from './library-parser.ts';
import { openRawSocket, type RawSocket } from './raw-socket.ts';
import { openRouter, type Router } from './router.ts';

/** One case as it is kept: the whole dump as the kernel sent it, and what libnetfilter_conntrack read in its one entry. */
export interface Recording {
  readonly name: string;
  /** Datagrams in hexadecimal. */
  readonly datagrams: readonly string[];
  readonly library: LibraryEntry;
}

const MAX_PENDING_MS = 5000;
const POLL_MS = 5;
/** `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW`, `NLMSG_DONE` */
const CONNECTION = 0x0100;
const DONE = 3;

/** Makes each case's connection in namespaces of its own and records the dump that holds it alone. */
export async function recordAll(cases: readonly Case[] = CASES): Promise<Recording[]> {
  const router = await openRouter();
  try {
    const hosts = { client: openRawSocket(router.client), server: openRawSocket(router.server) };
    const recordings: Recording[] = [];
    for (const one of cases) recordings.push(await record(one, router, hosts));
    for (const socket of Object.values(hosts)) socket.close();
    return recordings;
  } finally {
    await router.remove();
  }
}

async function record(one: Case, router: Router, hosts: Record<'client' | 'server', RawSocket>): Promise<Recording> {
  await router.run('conntrack -F 2>&1');
  if (one.before !== undefined) await router.run(one.before);
  let recording: Recording | undefined;
  for (const [i, step] of one.packets.entries()) {
    hosts[step.by].send(step.bytes, step.to);
    // The next packet answers this one: it must have been counted.
    recording = await dumpWhenCounted(router.router, one.name, i + 1);
  }
  if (one.after !== undefined) await router.run(one.after);
  if (recording === undefined) throw new Bug(`the case ${one.name} has no packets`);
  return recording;
}

/** The first dump whose only entry has counted so many packets (or does not count). */
async function dumpWhenCounted(namespace: string, name: string, packets: number): Promise<Recording> {
  const deadline = performance.now() + MAX_PENDING_MS;
  for (;;) {
    const datagrams = dump(namespace);
    const entries = datagrams.flatMap(messagesOf);
    if (entries.length > 1) throw new Error(`${name}: ${entries.length} connections instead of one`);
    const library = entries[0] === undefined ? undefined : parseWithLibrary(entries[0]);
    if (library !== undefined && counted(library) >= packets) {
      return { name, datagrams: datagrams.map((datagram) => datagram.toString('hex')), library };
    }
    if (performance.now() > deadline)
      throw new Error(`${name}: packet ${packets} was not counted in ${MAX_PENDING_MS} ms`);
    await sleep(POLL_MS);
  }
}

function counted({ originalPackets, replyPackets }: LibraryEntry): number {
  return originalPackets === undefined ? Number.POSITIVE_INFINITY : Number(originalPackets) + Number(replyPackets);
}

/** All datagrams of a dump. */
function dump(namespace: string): Buffer[] {
  const socket = inNamespace(namespace, () => openConntrackSocket());
  const datagrams: Buffer[] = [];
  socket.requestDump('all');
  do {
    const count = socket.receive();
    if (count === 'overrun') throw new Error('a dump overran');
    for (let i = 0; i < count; i++) {
      const length = socket.lengthOf(i);
      if (length === 'overrun') throw new Error('a dump was cut off');
      datagrams.push(Buffer.from(new Uint8Array(socket.datagrams[i]!.slice().buffer, 0, length)));
    }
  } while (lastType(datagrams.at(-1)!) !== DONE);
  socket.close();
  return datagrams;
}

/** The messages of a datagram that are entries. */
function messagesOf(datagram: Buffer): Buffer[] {
  return messages(datagram).filter((message) => message.readUInt16LE(4) === CONNECTION);
}

function messages(datagram: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < datagram.length; ) {
    const length = datagram.readUInt32LE(at);
    found.push(datagram.subarray(at, at + length));
    at += (length + 3) & ~3;
  }
  return found;
}

function lastType(datagram: Buffer): number {
  return messages(datagram).at(-1)!.readUInt16LE(4);
}
