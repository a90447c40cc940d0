import { Bug } from '@egressd/flow/bug';
import type { Evidence, IpHistory, NodeOwner, OwnershipSpan, PodOwner } from './ip-history.ts';
import type { Workload } from './owners.ts';

/** Spans that an image holds. Where there are more, those that ended longest ago are left out. */
const MAX_HISTORY_SPANS = 200_000;

/** One span in which an owner had an address. Unix milliseconds. */
export interface AddressSpan {
  /** `addressKey` of the address. */
  readonly key: string;
  /** -Infinity: since before the first record. */
  readonly fromMs: number;
  /** Exclusive; Infinity while it lasts. */
  readonly toMs: number;
}

/** A node's past. */
export interface NodeHistory {
  readonly name: string;
  readonly zone: string;
  readonly region: string;
  /** Names of the sources that declare it; none: it is gone, or was never declared. */
  readonly sources: readonly string[];
  readonly times: Readonly<Record<Evidence, readonly AddressSpan[]>>;
}

/** A pod's past. */
export interface PodHistory {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly workload: Workload | undefined;
  /** Undefined: it is gone. */
  readonly living: Living | undefined;
  readonly times: readonly AddressSpan[];
}

/** The source that declares a pod now, and its key there. */
interface Living {
  readonly source: string;
  readonly key: string;
}

/**
 * Who had which address when, from which a new registry is restored:
 *
 *   nodes   node-1  declared 192.168.0.1 always ..        kernel 172.17.0.1 always ..
 *   pods    job-a   10.1.0.7 09:00 .. 09:40               gone
 *           job-b   10.1.0.7 10:02 ..                     living, by the key of the source `kubernetes`
 */
export interface IpHistoryImage {
  /** What came after this is not in it. Unix milliseconds. */
  readonly savedMs: number;
  /** Names of all sources that were synced. */
  readonly sources: readonly string[];
  readonly nodes: readonly NodeHistory[];
  readonly pods: readonly PodHistory[];
  /** Spans that did not fit. */
  readonly leftOut: number;
}

/** What an image holds besides the spans. */
interface Present {
  readonly savedMs: number;
  readonly sources: readonly string[];
  readonly nodes: Iterable<NodeOwner>;
  declaredBy(node: NodeOwner): readonly string[];
  living(pod: PodOwner): Living | undefined;
}

/** The image of all spans. @param max spans that it holds; those that last are in it whatever their number */
export function imageOfIpHistory(spans: IpHistory, present: Present, max = MAX_HISTORY_SPANS): IpHistoryImage {
  const kept = newest([...spans.all()], max);
  const nodes = new Map<NodeOwner, Record<Evidence, AddressSpan[]>>();
  for (const node of present.nodes) nodes.set(node, { declared: [], kernel: [] });
  const pods = new Map<string, PodHistory & { readonly times: AddressSpan[] }>();
  const seen = new Map<AddressSpan[], Set<string>>();
  for (const [key, { ipOwner, evidence, fromMs, toMs }] of kept.times) {
    const time = { key, fromMs, toMs };
    if (ipOwner.kind === 'node') addOnce(nodeTimes(nodes, ipOwner)[evidence], time, seen);
    else addOnce(podEntry(pods, ipOwner, present.living(ipOwner)).times, time, seen);
  }
  return {
    savedMs: present.savedMs,
    sources: present.sources,
    nodes: [...nodes].map(([ipOwner, times]) => {
      const { name, zone, region } = ipOwner;
      return { name, zone, region, sources: present.declaredBy(ipOwner), times };
    }),
    pods: [...pods.values()],
    leftOut: kept.leftOut,
  };
}

function nodeTimes(
  nodes: Map<NodeOwner, Record<Evidence, AddressSpan[]>>,
  ipOwner: NodeOwner,
): Record<Evidence, AddressSpan[]> {
  const known = nodes.get(ipOwner);
  if (known === undefined) throw new Bug(`node ${ipOwner.name} has addresses, and is no node`);
  return known;
}

/** Pods that are gone are distinguished by name and node alone: one that was reported twice is in the image once. */
function podEntry(
  pods: Map<string, PodHistory & { readonly times: AddressSpan[] }>,
  { namespace, name, node, workload }: PodOwner,
  living: Living | undefined,
): { readonly times: AddressSpan[] } {
  const id = JSON.stringify([living?.source, living?.key, namespace, name, node.name]);
  const known = pods.get(id);
  if (known !== undefined) return known;
  const entry = { namespace, name, node: node.name, workload, living, times: [] };
  pods.set(id, entry);
  return entry;
}

/** @param seen by list: what is in it, since an owner may have thousands */
function addOnce(times: AddressSpan[], time: AddressSpan, seen: Map<AddressSpan[], Set<string>>): void {
  const known = seen.get(times) ?? new Set();
  seen.set(times, known);
  const name = `${time.key} ${time.fromMs} ${time.toMs}`;
  if (known.has(name)) return;
  known.add(name);
  times.push(time);
}

function newest(all: [string, OwnershipSpan][], max: number): { times: [string, OwnershipSpan][]; leftOut: number } {
  if (all.length <= max) return { times: all, leftOut: 0 };
  const ends = Float64Array.from(all, ([, { toMs }]) => toMs).sort();
  const last = ends[ends.length - max - 1]!;
  const times = all.filter(([, { toMs }]) => toMs > last || toMs === Number.POSITIVE_INFINITY);
  return { times, leftOut: all.length - times.length };
}
