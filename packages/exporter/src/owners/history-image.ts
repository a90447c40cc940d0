import { Bug } from '@egressd/flow/bug';
import type { Claim, NodeHolder, PodHolder, Tenure, Tenures } from './ip-history.ts';
import type { Workload } from './owners.ts';

/** Times that a history holds. Where there are more, those that ended longest ago are left out. */
export const MAX_HISTORY_TIMES = 200_000;

/** One time in which somebody had an address. Unix milliseconds. */
export interface Time {
  /** `addressKey` of the address. */
  readonly key: string;
  /** -Infinity: as long as anybody knows. */
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
  readonly times: Readonly<Record<Claim, readonly Time[]>>;
}

/** A pod's past. */
export interface PodHistory {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly workload: Workload | undefined;
  /** Who declares it, and under which key; undefined: it is gone. */
  readonly living: Living | undefined;
  readonly times: readonly Time[];
}

export interface Living {
  readonly source: string;
  readonly key: string;
}

/**
 * Who had which address when, to be told to a registry that begins anew:
 *
 *   nodes   node-1  declared 192.168.0.1 always ..        kernel 172.17.0.1 always ..
 *   pods    job-a   10.1.0.7 09:00 .. 09:40               gone
 *           job-b   10.1.0.7 10:02 ..                     living, as the source `kubernetes` tells it
 */
export interface AddressHistory {
  /** What came after this is not in it. Unix milliseconds. */
  readonly savedMs: number;
  /** Names of all sources that had told. */
  readonly sources: readonly string[];
  readonly nodes: readonly NodeHistory[];
  readonly pods: readonly PodHistory[];
  /** Times that did not fit. */
  readonly leftOut: number;
}

/** What a history is made of, besides the tenures. */
export interface Present {
  readonly savedMs: number;
  readonly sources: readonly string[];
  readonly nodes: Iterable<NodeHolder>;
  declaredBy(node: NodeHolder): readonly string[];
  living(pod: PodHolder): Living | undefined;
}

/** The whole history of these tenures. @param max times that it holds; those that last are in it whatever their number */
export function historyOf(tenures: Tenures, present: Present, max = MAX_HISTORY_TIMES): AddressHistory {
  const kept = newest([...tenures.all()], max);
  const nodes = new Map<NodeHolder, Record<Claim, Time[]>>();
  for (const node of present.nodes) nodes.set(node, { declared: [], kernel: [] });
  const pods = new Map<string, PodHistory & { readonly times: Time[] }>();
  for (const [key, { holder, claim, fromMs, toMs }] of kept.times) {
    const time = { key, fromMs, toMs };
    if (holder.kind === 'node') addOnce(nodeTimes(nodes, holder)[claim], time);
    else addOnce(podEntry(pods, holder, present.living(holder)).times, time);
  }
  return {
    savedMs: present.savedMs,
    sources: present.sources,
    nodes: [...nodes].map(([holder, times]) => {
      const { name, zone, region } = holder;
      return { name, zone, region, sources: present.declaredBy(holder), times };
    }),
    pods: [...pods.values()],
    leftOut: kept.leftOut,
  };
}

function nodeTimes(nodes: Map<NodeHolder, Record<Claim, Time[]>>, holder: NodeHolder): Record<Claim, Time[]> {
  const known = nodes.get(holder);
  if (known === undefined) throw new Bug(`node ${holder.name} has addresses, and is no node`);
  return known;
}

/** Pods that are gone are told apart by name and node alone: one that was told twice is in the history once. */
function podEntry(
  pods: Map<string, PodHistory & { readonly times: Time[] }>,
  { namespace, name, node, workload }: PodHolder,
  living: Living | undefined,
): { readonly times: Time[] } {
  const id = JSON.stringify([living?.source, living?.key, namespace, name, node.name]);
  const known = pods.get(id);
  if (known !== undefined) return known;
  const entry = { namespace, name, node: node.name, workload, living, times: [] };
  pods.set(id, entry);
  return entry;
}

function addOnce(times: Time[], time: Time): void {
  const { key, fromMs, toMs } = time;
  if (!times.some((it) => it.key === key && it.fromMs === fromMs && it.toMs === toMs)) times.push(time);
}

function newest(all: [string, Tenure][], max: number): { times: [string, Tenure][]; leftOut: number } {
  if (all.length <= max) return { times: all, leftOut: 0 };
  const ends = Float64Array.from(all, ([, { toMs }]) => toMs).sort();
  const last = ends[ends.length - max - 1]!;
  const times = all.filter(([, { toMs }]) => toMs > last || toMs === Number.POSITIVE_INFINITY);
  return { times, leftOut: all.length - times.length };
}
