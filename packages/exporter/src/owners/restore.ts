import type { Evidence, IpOwner, PodOwner } from './ip-history.ts';
import {
  type AddressSpan,
  type IpHistoryImage,
  imageOfIpHistory,
  type NodeHistory,
  type PodHistory,
} from './ip-history-image.ts';
import type { OwnerTables } from './owner-tables.ts';

/** Who had which address until now, for `restoreOwners`. */
export function imageOfOwners(tables: OwnerTables, nowMs: number): IpHistoryImage {
  const living = new Map(
    [...tables.sources].flatMap(([source, { pods }]) =>
      [...pods].map(([key, { ipOwner }]) => [ipOwner, { source, key }] as const),
    ),
  );
  const sources = [...tables.sources];
  return imageOfIpHistory(tables.ipHistory, {
    savedMs: nowMs,
    sources: sources.map(([name]) => name),
    nodes: [...tables.nodes.values()].map(({ ipOwner }) => ipOwner),
    declaredBy: (node) => sources.filter(([, { nodes }]) => nodes.has(node.name)).map(([name]) => name),
    living: (pod) => living.get(pod),
  });
}

/**
 * Takes an image, before any source delivers: what ended keeps its times, and what lasted goes on as if its source had reported it.
 * Where that source is no more, it has ended when the image was saved.
 */
export function restoreOwners(tables: OwnerTables, { savedMs, sources, nodes, pods }: IpHistoryImage): void {
  for (const [name, source] of tables.sources) if (sources.includes(name)) source.knownMs = savedMs;
  for (const node of nodes) restoreNode(tables, node, savedMs);
  for (const pod of pods) restorePod(tables, pod, savedMs);
}

function restoreNode(tables: OwnerTables, { name, zone, region, sources, times }: NodeHistory, savedMs: number): void {
  const entry = tables.nodeEntry(name);
  entry.ipOwner.zone = zone;
  entry.ipOwner.region = region;
  const declaring = sources.flatMap((source) => tables.sources.get(source) ?? []);
  for (const source of declaring) source.nodes.set(name, undefined);
  const endMs = declaring.length > 0 ? undefined : savedMs;
  entry.keys = restoreTimes(tables, entry.ipOwner, 'declared', times.declared, endMs);
  const fromKernel = restoreTimes(tables, entry.ipOwner, 'kernel', times.kernel, endMs);
  if (fromKernel.length > 0) tables.kernelAddresses.set(name, fromKernel);
}

function restorePod(
  tables: OwnerTables,
  { namespace, name, node, workload, living, times }: PodHistory,
  savedMs: number,
): void {
  const ipOwner: PodOwner = { kind: 'pod', namespace, name, workload, node: tables.nodeEntry(node).ipOwner };
  const source = living === undefined ? undefined : tables.sources.get(living.source);
  const keys = restoreTimes(tables, ipOwner, 'declared', times, source === undefined ? savedMs : undefined);
  if (living !== undefined) source?.pods.set(living.key, { ipOwner, keys });
}

/** @param endMs when what lasts in the history has ended; undefined: it goes on. @returns addresses that it still has */
function restoreTimes(
  tables: OwnerTables,
  ipOwner: IpOwner,
  evidence: Evidence,
  times: readonly AddressSpan[],
  endMs: number | undefined,
): string[] {
  const lasting: string[] = [];
  for (const { key, fromMs, toMs } of times) {
    const lasts = toMs === Number.POSITIVE_INFINITY;
    if (lasts && endMs === undefined) lasting.push(key);
    const end = lasts && endMs !== undefined ? Math.max(endMs, fromMs) : toMs;
    const restored = lasts ? 'begin' : 'both';
    tables.ipHistory.restore(key, { ipOwner, evidence, fromMs, toMs: end, restored });
  }
  return lasting;
}
