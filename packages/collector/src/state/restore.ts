import { NotOwnFileError } from '@egressd/daemon/own-file';
import { decodeBatchFile, type SavedBatch } from './batch-file.ts';
import type { Decoded, StateRefusal } from './bytes.ts';
import { decodeConnections, type Identity, type SavedConnections } from './connections-file.ts';
import type { Disk } from './disk.ts';
import type { FrozenBatch } from './frozen-batch.ts';
import type { BatchDropReason, StateReadOutcome } from './metrics.ts';

/** Names in the state directory. */
export const CONNECTIONS = 'connections';
const BATCHES = 'batches';

/** What the collector that starts belongs to. */
export type CurrentIdentity = Omit<Identity, 'epoch'>;

/** What a state directory gives to a collector that starts. */
export interface Restored {
  readonly outcome: StateReadOutcome;
  /** undefined: a new one begins. */
  readonly epoch: { readonly name: string; readonly last: number } | undefined;
  /** What the exporter has not committed as far as is known here, oldest first. */
  readonly batches: readonly FrozenBatch[];
  /** undefined: connections start from a baseline. */
  readonly connections: SavedConnections | undefined;
  /** Batches that are not sent, by reason. */
  readonly dropped: ReadonlyMap<BatchDropReason, number>;
  /** What was in the place of files and is none of this program, such as links: the first ones, a line each. It is put aside. */
  readonly notOwn: readonly string[];
}

/** So many of `Restored.notOwn`. */
const MAX_NOT_OWN = 10;

/**
 * Reads a state directory. Why nothing is lost and nothing counted twice, whenever the process before was killed:
 *
 *  - A hand-over is written in this order: batch N, the image of the connections for N, and only then N is sent. An image says what
 *    was counted in batches up to N, and nothing of what came after.
 *  - Same boot, same table: the connections are as in the last image that is whole, N. Batches up to N may have been sent, and are in
 *    the outbox; those behind N were never sent, are removed, and what was in them is counted again, since the connections are of
 *    before. The kernel keeps what was written for as long as it runs, flushed or not, so images need not be flushed.
 *  - Another boot, or no image that can be used: the connections start from a baseline, so nothing is counted again. Every batch that
 *    is whole goes out. Batches are flushed before they are sent and committed in order: if any is not committed, the newest that was ever
 *    sent is there, and the numbers continue after it. If none is there, the old epoch has nothing left to send.
 */
export async function restore(disk: Disk, current: CurrentIdentity): Promise<Restored> {
  const dropped = new Map<BatchDropReason, number>();
  const drop = (reason: BatchDropReason) => void dropped.set(reason, 1 + (dropped.get(reason) ?? 0));
  const notOwn: string[] = [];
  const refuse = (message: string) => void (notOwn.length < MAX_NOT_OWN && notOwn.push(message));
  const read = await readFile(disk, CONNECTIONS, decodeConnections, refuse);
  const outcome = outcomeOf(read, current);
  const connections = outcome === 'restored' && read?.ok ? read.value : undefined;
  if (read !== undefined && connections === undefined) await retire(disk, outcome);
  const newest = connections?.images.at(-1)?.number;
  const found = await readBatches(disk, current, newest, drop, refuse);
  const name = connections?.identity.epoch ?? newestOf(found)?.epoch;
  const batches: FrozenBatch[] = [];
  for (const { epoch, batch } of found) {
    if (epoch === name) batches.push(batch);
    else {
      drop('other_epoch');
      await disk.remove(batchName(batch.number));
    }
  }
  const last = newest ?? batches.at(-1)?.number ?? 0;
  return { outcome, epoch: name === undefined ? undefined : { name, last }, batches, connections, dropped, notOwn };
}

/** The file of a batch. */
export function batchName(number: number): string {
  return `${BATCHES}/${number}`;
}

/** Takes a message on what is none of this program's files. */
type Refuse = (message: string) => void;

/** Reads a file; undefined where there is none. */
async function readFile<T>(
  disk: Disk,
  name: string,
  decode: (bytes: Uint8Array) => Decoded<T>,
  refuse: Refuse,
): Promise<Decoded<T> | undefined> {
  try {
    const bytes = await disk.read(name);
    return bytes === undefined ? undefined : decode(bytes);
  } catch (error) {
    if (!(error instanceof NotOwnFileError)) throw error;
    refuse(error.message);
    return { ok: false, reason: 'foreign' };
  }
}

function outcomeOf(read: Decoded<SavedConnections> | undefined, current: CurrentIdentity): StateReadOutcome {
  if (read === undefined) return 'none';
  if (!read.ok) return read.reason;
  const { node, bootId, source } = read.value.identity;
  if (node !== current.node) return 'other_node';
  if (bootId !== current.bootId) return 'other_boot';
  return source === current.source ? 'restored' : 'other_source';
}

/** Removes a file of connections that does not describe the present table, or puts it aside where that was not meant. */
async function retire(disk: Disk, outcome: StateReadOutcome): Promise<void> {
  if (outcome === 'other_boot' || outcome === 'other_source') await disk.remove(CONNECTIONS);
  else await disk.putAside(CONNECTIONS, `${CONNECTIONS}.bad`);
}

/** Batches up to `newest` that can be sent for this node, in order; the rest is removed or put aside. */
async function readBatches(
  disk: Disk,
  current: CurrentIdentity,
  newest = Number.POSITIVE_INFINITY,
  drop: (reason: BatchDropReason) => void,
  refuse: Refuse,
): Promise<SavedBatch[]> {
  const found: SavedBatch[] = [];
  for (const number of await batchNumbers(disk, refuse)) {
    const name = batchName(number);
    // Never sent: what it holds is counted again.
    if (number > newest) {
      await disk.remove(name);
      continue;
    }
    const read = checked((await readFile(disk, name, decodeBatchFile, refuse)) ?? GONE, number);
    if (read.ok && read.value.node === current.node) found.push(read.value);
    else if (read.ok) {
      drop('other_node');
      await disk.remove(name);
    } else {
      drop(read.reason);
      await disk.putAside(name, 'batch.bad');
    }
  }
  return found;
}

/** It was there a moment ago. */
const GONE = { ok: false, reason: 'damaged' } as const;

/** Numbers of the batches, in order. What is no folder of ours in their place is put aside. */
async function batchNumbers(disk: Disk, refuse: Refuse): Promise<number[]> {
  let names: readonly string[] = [];
  try {
    names = await disk.list(BATCHES);
  } catch (error) {
    if (!(error instanceof NotOwnFileError)) throw error;
    refuse(error.message);
    await disk.putAside(BATCHES, `${BATCHES}.bad`);
  }
  return names
    .filter((name) => /^[1-9]\d{0,15}$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/** A file that was given another number is not what it was. */
function checked(read: Decoded<SavedBatch>, number: number): Decoded<SavedBatch> {
  const damaged: StateRefusal = 'damaged';
  return read.ok && read.value.batch.number !== number ? { ok: false, reason: damaged } : read;
}

function newestOf(batches: readonly SavedBatch[]): SavedBatch | undefined {
  return batches.reduce<SavedBatch | undefined>(
    (newest, one) => (newest !== undefined && newest.batch.frozenMs > one.batch.frozenMs ? newest : one),
    undefined,
  );
}
