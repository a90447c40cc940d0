import { randomInt } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { Bug } from '@egressd/flow/bug';
import { inNamespace } from '../../native/netlink-socket.ts';
import { type AddressSocket, openAddressSocket } from '../node-addresses.ts';
import type { ConnectionBlock } from '../record.ts';
import { type ConntrackSource, NO_SWITCHES, type ReadReport } from '../source.ts';
import { CiliumReading, type CiliumReadingOptions } from './scan.ts';

/** Where and how Cilium's maps are read. */
export interface CiliumOptions extends Omit<CiliumReadingOptions, 'seed'> {
  /** The node's addresses are those of process 1's network namespace instead of the own one. */
  readonly hostPid?: boolean;
}

/**
 * Opens Cilium's maps. The kernel walks through them in a thread of the pool, while the calling thread decodes what it brought before:
 * records that change from one thread to another cost more than they save (`npm run bench`).
 * @throws SourceError that says why they cannot be read
 */
export async function openCiliumSource({ hostPid = false, ...rest }: CiliumOptions = {}): Promise<ConntrackSource> {
  const options = { ...rest, seed: randomInt(2 ** 32) };
  const maps = await CiliumReading.open(options);
  try {
    return new CiliumSource(options, maps, await openAddresses(hostPid));
  } catch (error) {
    maps.close();
    throw error;
  }
}

async function openAddresses(hostPid: boolean): Promise<AddressSocket> {
  if (!hostPid) return openAddressSocket();
  // Threads of libuv's pool keep the namespace of the thread that starts them: they start here, before it is left.
  await stat('/');
  return inNamespace('/proc/1/ns/net', openAddressSocket);
}

class CiliumSource implements ConntrackSource {
  readonly name = 'cilium';
  readonly #options: CiliumReadingOptions;
  readonly #addresses: AddressSocket;
  #maps: CiliumReading | undefined;
  #reading: Promise<ReadReport> | undefined;

  constructor(options: CiliumReadingOptions, maps: CiliumReading, addresses: AddressSocket) {
    this.#options = options;
    this.#maps = maps;
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

  /** The maps are never netfilter's: the switches say nothing. */
  switches() {
    return NO_SWITCHES;
  }

  nodeAddresses(): Promise<Uint8Array[]> {
    return this.#addresses.read();
  }

  async close(): Promise<void> {
    await this.#reading?.catch(() => undefined);
    this.#closeMaps();
    this.#addresses.close();
  }

  async #read(onBlock: (block: ConnectionBlock) => void): Promise<ReadReport> {
    this.#maps ??= await CiliumReading.open(this.#options);
    try {
      return await this.#maps.read(onBlock);
    } catch (error) {
      // The next read looks at the maps anew: they may be others, or of another version of Cilium.
      this.#closeMaps();
      throw error;
    }
  }

  #closeMaps(): void {
    this.#maps?.close();
    this.#maps = undefined;
  }
}
