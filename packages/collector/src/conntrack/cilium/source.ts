import { randomInt } from 'node:crypto';
import { Bug } from '@egressd/flow/bug';
import { openHostAddresses } from '../host-addresses.ts';
import type { AddressSocket } from '../node-addresses.ts';
import type { ConnectionBlock } from '../record.ts';
import { type ConntrackSource, type ReadReport, UNKNOWN_SYSCTLS } from '../source.ts';
import { CtMapsReader, type CtMapsReaderOptions } from './ct-maps-reader.ts';

/** Where and how Cilium's maps are read. */
interface CiliumOptions extends Omit<CtMapsReaderOptions, 'seed'> {
  /** The node's addresses are those of process 1's network namespace instead of the own one. */
  readonly hostPid?: boolean;
}

/**
 * Opens Cilium's maps. The kernel iterates over them in a thread of the pool, while the calling thread decodes the batch before:
 * records that move from one thread to another cost more than they save (`npm run bench`).
 * @throws SourceError that says why they cannot be read
 */
export async function openCiliumSource({ hostPid = false, ...rest }: CiliumOptions = {}): Promise<ConntrackSource> {
  const options = { ...rest, seed: randomInt(2 ** 32) };
  const reader = await CtMapsReader.open(options);
  try {
    return new CiliumSource(options, reader, await openHostAddresses(hostPid));
  } catch (error) {
    reader.close();
    throw error;
  }
}

class CiliumSource implements ConntrackSource {
  readonly name = 'cilium';
  readonly #options: CtMapsReaderOptions;
  readonly #addresses: AddressSocket;
  #reader: CtMapsReader | undefined;
  #reading: Promise<ReadReport> | undefined;

  constructor(options: CtMapsReaderOptions, reader: CtMapsReader, addresses: AddressSocket) {
    this.#options = options;
    this.#reader = reader;
    this.#addresses = addresses;
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
    this.#closeReader();
    this.#addresses.close();
  }

  async #read(onBlock: (block: ConnectionBlock) => void): Promise<ReadReport> {
    this.#reader ??= await CtMapsReader.open(this.#options);
    try {
      return await this.#reader.read(onBlock);
    } catch (error) {
      // The next read inspects the maps anew: they may be others, or of another version of Cilium.
      this.#closeReader();
      throw error;
    }
  }

  #closeReader(): void {
    this.#reader?.close();
    this.#reader = undefined;
  }
}
