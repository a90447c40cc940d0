import { randomInt } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Bug } from '@egressd/flow/bug';
import { openLibbpf } from '../../native/bpf.ts';
import { openHostAddresses } from '../host-addresses.ts';
import type { AddressSocket } from '../node-addresses.ts';
import type { ConnectionBlock } from '../record.ts';
import { type ConntrackSource, type ReadReport, UNKNOWN_SYSCTLS } from '../source.ts';
import { SourceError } from '../source-error.ts';
import { attach, isAttached, type PacketUnit, removeAttachments } from './attachment.ts';
import { KeptEntries } from './kept-entries.ts';
import { checkRequirements, findBpfFolder, findCgroup } from './mounts.ts';
import { readNamed } from './named-read.ts';
import { PairRecords } from './pair-records.ts';
import { PairsReader, type ReaderOptions } from './pairs-reader.ts';
import { Translations } from './translations.ts';

/** What clang makes of `count.bpf.c`, beside `src` and `dist`: see docs/development.md. */
const OBJECT = fileURLToPath(new URL('../../../bpf/count.bpf.o', import.meta.url));

/** Where and how sockets are counted. */
export interface EbpfOptions extends ReaderOptions {
  readonly hostPid?: boolean;
  /** cgroup v2 whose sockets are counted; not set: the root. */
  readonly cgroup?: string | undefined;
  /** A BPF file system; not set: `/sys/fs/bpf`. */
  readonly bpfFolder?: string | undefined;
  /** Entries of the map, where it is made anew. */
  readonly maxPairs: number;
  /** What a super-packet counts as. */
  readonly unit: PacketUnit;
  /** Opens netfilter's table, which names what is behind translated addresses; not set: nothing does. */
  readonly openConnections?: () => Promise<ConntrackSource>;
  /** For tests: other programs. */
  readonly object?: string | undefined;
}

/**
 * Counts at the sockets of this node, by programs of our own: attaches them, or goes on with those that are attached.
 * @throws SourceError that says which capability, mount or kernel is missing
 */
export async function openEbpfSource(options: EbpfOptions): Promise<ConntrackSource> {
  const { hostPid = false, object = OBJECT, maxPairs, unit } = options;
  openLibbpf();
  checkRequirements();
  const cgroup = findCgroup(options.cgroup, hostPid);
  const bpfFolder = findBpfFolder(options.bpfFolder, hostPid);
  const attachment = attach({ object, cgroup, bpfFolder, maxPairs, unit });
  const reader = new PairsReader(attachment, options);
  try {
    const connections = await options.openConnections?.().catch(noConnections);
    return new EbpfSource(reader, await openHostAddresses(hostPid), connections);
  } catch (error) {
    reader.close();
    throw error;
  }
}

/** Without netfilter's table nothing is translated by it. */
function noConnections(error: unknown): undefined {
  if (!(error instanceof SourceError)) throw error;
}

/** Whether a collector has attached its programs before, as far as this one may see. */
export function isCounting({ hostPid = false, cgroup, bpfFolder, unit }: EbpfOptions): boolean {
  try {
    return isAttached({ cgroup: findCgroup(cgroup, hostPid), bpfFolder: findBpfFolder(bpfFolder, hostPid), unit });
  } catch (error) {
    if (error instanceof SourceError) return false;
    throw error;
  }
}

/** `-cleanup`: removes what outlives collectors. @returns what was removed @throws SourceError where it cannot be found or removed */
export function cleanUp({ hostPid = false, bpfFolder }: Pick<EbpfOptions, 'hostPid' | 'bpfFolder'>): string[] {
  return removeAttachments(findBpfFolder(bpfFolder, hostPid));
}

class EbpfSource implements ConntrackSource {
  readonly name = 'ebpf';
  readonly #reader: PairsReader;
  readonly #records = new PairRecords();
  readonly #kept = new KeptEntries();
  readonly #addresses: AddressSocket;
  /** netfilter's table, which names what is behind translated addresses. */
  readonly #connections: ConntrackSource | undefined;
  readonly #translations: Translations;
  #reading: Promise<ReadReport> | undefined;

  constructor(reader: PairsReader, addresses: AddressSocket, connections: ConntrackSource | undefined) {
    this.#reader = reader;
    this.#addresses = addresses;
    this.#connections = connections;
    this.#translations = new Translations({
      seed: randomInt(2 ** 32),
      sinceNs: BigInt(Date.now()) * 1_000_000n,
      firstNumber: randomInt(1, 2 ** 31),
    });
    connections?.subscribe?.({
      onDestroy: (block) => this.#translations.noteConnections(block),
      onEventLoss: () => {},
    });
  }

  restore(image: Uint32Array, width: number): void {
    this.#translations.restore(image, width);
  }

  async read(onBlock: (block: ConnectionBlock) => void): Promise<ReadReport> {
    if (this.#reading !== undefined) throw new Bug('a read began before the one before it ended');
    this.#reading = this.#read(onBlock);
    try {
      return await this.#reading;
    } finally {
      this.#reading = undefined;
    }
  }

  /** The sysctls are netfilter's and do not apply. */
  sysctls() {
    return UNKNOWN_SYSCTLS;
  }

  nodeAddresses(): Promise<Uint8Array[]> {
    return this.#addresses.read();
  }

  async close(): Promise<void> {
    await this.#reading?.catch(() => undefined);
    this.#reader.close();
    this.#addresses.close();
    await this.#connections?.close();
  }

  async #read(onBlock: (block: ConnectionBlock) => void): Promise<ReadReport> {
    const [reader, records, connections] = [this.#reader, this.#records, this.#connections];
    if (connections !== undefined)
      return readNamed({ reader, records, connections, translations: this.#translations, kept: this.#kept }, onBlock);
    const report = await reader.read((entries, count) => records.deliver(entries, 0, count, onBlock));
    let removed = 0;
    reader.removeIdle((entries, count) => {
      removed += count;
      records.deliver(entries, 0, count, onBlock);
    });
    return { ...report, entries: report.entries + removed };
  }
}
