import { type Transfer, type Transfers, transferKey } from '../reference/transfers.ts';
import { NONE, type PairTotals } from './samples.ts';

/** One counter of a pair and direction: what the kernel's reference says, and what has arrived in the database. */
export interface Compared {
  readonly kernel: number;
  readonly database: number;
}

/** A pair in one direction on one node. */
export interface Row {
  readonly node: string;
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  /** `tx`: from source to destination; `rx`: what the source received from it. */
  readonly direction: 'tx' | 'rx';
  readonly bytes: Compared;
  readonly packets: Compared;
  /** Of the kernel's, what passed conntrack by: the database has to lack exactly that. */
  readonly passedBy?: { readonly bytes: number; readonly packets: number; readonly why?: string };
  /** Only one of the two knows the pair at all. */
  readonly missing?: 'in the kernel' | 'in the database';
}

/** What is compared on one node. */
export interface NodeCounts {
  readonly node: string;
  /** Addresses of its pods. */
  readonly pods: ReadonlySet<string>;
  readonly reference: Transfers;
  /** Of the reference, what passed conntrack by; not set: nothing. */
  readonly passedBy?: Transfers;
  /** Of the series whose source node it is. */
  readonly database: ReadonlyMap<string, PairTotals>;
}

interface Pair {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
}

/**
 * Pairs that a node has to report: every one that the reference saw, in either direction, whose source is a pod of the node;
 * and those that the database has.
 */
function pairsOf({ pods, reference, database }: NodeCounts): Map<string, Pair> {
  const pairs = new Map<string, Pair>();
  const add = ({ source, destination, protocol }: Pair) =>
    pairs.set(transferKey(source, destination, protocol), { source, destination, protocol });
  for (const { source, destination, protocol } of reference.values()) {
    if (pods.has(source)) add({ source, destination, protocol });
    if (pods.has(destination)) add({ source: destination, destination: source, protocol });
  }
  for (const pair of database.values()) add(pair);
  return pairs;
}

/** Compares the database with the reference of the same node, pair by pair in both directions. */
export function compare(counts: NodeCounts): Row[] {
  const { node, pods, reference, passedBy, database } = counts;
  const seen = ({ source, destination, protocol }: Pair) => reference.get(transferKey(source, destination, protocol));
  const passed = ({ source, destination, protocol }: Pair) => passedBy?.get(transferKey(source, destination, protocol));
  return [...pairsOf(counts)].flatMap(([key, pair]): Row[] => {
    const back = { source: pair.destination, destination: pair.source, protocol: pair.protocol };
    const [sent, received] = pods.has(pair.source) ? [seen(pair), seen(back)] : [];
    const stored = database.get(key);
    const inKernel = sent !== undefined || received !== undefined;
    const missing = stored === undefined ? 'in the database' : inKernel ? undefined : 'in the kernel';
    const { txBytes, txPackets, rxBytes, rxPackets } = stored ?? NONE;
    const row = (direction: Row['direction'], counted: typeof sent, bytes: number, packets: number): Row => ({
      ...{ node, ...pair, direction },
      bytes: { kernel: counted?.bytes ?? 0, database: bytes },
      packets: { kernel: counted?.packets ?? 0, database: packets },
      ...passedOf(passed(direction === 'tx' ? pair : back)),
      ...(missing && { missing }),
    });
    return [row('tx', sent, txBytes, txPackets), row('rx', received, rxBytes, rxPackets)];
  });
}

function passedOf(transfer: Transfer | undefined): Pick<Row, 'passedBy'> {
  return transfer === undefined ? {} : { passedBy: { bytes: transfer.bytes, packets: transfer.packets } };
}

/** Whether kernel and database agree to the byte, beside what passed conntrack by. */
export function isExact({ bytes, packets, passedBy = NOTHING, missing }: Row): boolean {
  const agrees = ({ kernel, database }: Compared, passed: number) => kernel - passed === database;
  return missing === undefined && agrees(bytes, passedBy.bytes) && agrees(packets, passedBy.packets);
}

const NOTHING = { bytes: 0, packets: 0 };
