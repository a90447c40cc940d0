import { addressKey, type Range } from '@egressd/flow/address';
import type { OwnerSource, OwnersState, PodRecord } from './owner-source.ts';
import { ALWAYS, type OwnerTables, type SourceState } from './owner-tables.ts';
import type { NodeRecord } from './owners.ts';

/** Puts what a source reports into the tables. */
export function sourceInto(tables: OwnerTables, source: SourceState): OwnerSource {
  return {
    replace: (state, atMs) => replace(tables, source, state, atMs),
    upsertPod: (pod, atMs) => upsertPod(tables, source, pod, beginOf(pod, atMs, atMs), atMs),
    endPod: (key, atMs) => endPod(tables, source, key, atMs),
    upsertNode: (node, atMs) => upsertNode(tables, source, node, atMs, atMs),
    endNode: (node, atMs) => endNode(tables, source, node, atMs),
    setClusterRanges: (ranges) => setClusterRanges(tables, source, ranges),
  };
}

function replace(tables: OwnerTables, source: SourceState, state: OwnersState, atMs: number): void {
  const fromMs = source.synced ? atMs : Math.min(source.knownMs ?? ALWAYS, atMs);
  const nodes = new Set(state.nodes.map((node) => node.name));
  const pods = new Set(state.pods.map((pod) => pod.key));
  for (const key of source.pods.keys()) if (!pods.has(key)) endPod(tables, source, key, atMs);
  for (const name of [...source.nodes.keys()]) if (!nodes.has(name)) endNode(tables, source, name, atMs);
  for (const node of state.nodes) upsertNode(tables, source, node, fromMs, atMs);
  for (const pod of state.pods) upsertPod(tables, source, pod, beginOf(pod, fromMs, atMs), atMs);
  setClusterRanges(tables, source, state.clusterRanges);
  tables.weighClaimsAgain();
  source.synced = true;
}

function setClusterRanges(tables: OwnerTables, source: SourceState, ranges: readonly Range[]): void {
  source.clusterRanges = ranges;
  tables.clusterRanges = [...tables.sources.values()].flatMap((it) => it.clusterRanges);
}

function upsertPod(tables: OwnerTables, source: SourceState, pod: PodRecord, fromMs: number, atMs: number): void {
  const keys = pod.hostNetwork ? [] : pod.addresses.map((bytes) => addressKey(bytes));
  const node = tables.nodeEntry(pod.node).ipOwner;
  const known = source.pods.get(pod.key);
  const { namespace, name, workload } = pod;
  const live = known ?? { ipOwner: { kind: 'pod', namespace, name, workload, node }, keys: [] };
  live.ipOwner.node = node;
  live.ipOwner.running = pod.running ?? false;
  tables.changeAddresses(
    live.ipOwner,
    'declared',
    live.keys,
    keys,
    fromMs,
    atMs,
    pod.byNodeClock ? pod.fromMs : undefined,
  );
  live.keys = keys;
  source.pods.set(pod.key, live);
}

function endPod(tables: OwnerTables, source: SourceState, key: string, atMs: number): void {
  const pod = source.pods.get(key);
  if (pod === undefined) return;
  tables.changeAddresses(pod.ipOwner, 'declared', pod.keys, [], atMs, atMs);
  source.pods.delete(key);
}

function upsertNode(tables: OwnerTables, source: SourceState, record: NodeRecord, fromMs: number, atMs: number): void {
  source.nodes.set(record.name, record);
  redeclareNode(tables, record.name, fromMs, atMs);
}

function endNode(tables: OwnerTables, source: SourceState, name: string, atMs: number): void {
  if (!source.nodes.delete(name)) return;
  redeclareNode(tables, name, atMs, atMs);
}

/** A source has changed or ended what it declares of a node: what the others declare stays. */
function redeclareNode(tables: OwnerTables, name: string, fromMs: number, atMs: number): void {
  const entry = tables.nodeEntry(name);
  const declaring = [...tables.sources.values()].filter(({ nodes }) => nodes.has(name));
  const records = declaring.flatMap(({ nodes }) => nodes.get(name) ?? []);
  const record = mergeNodes(records);
  const declared = (record?.addresses ?? []).map((bytes) => addressKey(bytes));
  // Which of the restored addresses are those of a source that has not delivered yet is not known.
  const keys = [...new Set([...declared, ...(records.length < declaring.length ? entry.keys : [])])];
  tables.changeAddresses(entry.ipOwner, 'declared', entry.keys, keys, fromMs, atMs);
  const fromKernel = tables.kernelAddresses.get(name);
  if (declaring.length === 0) tables.changeAddresses(entry.ipOwner, 'kernel', fromKernel, [], atMs, atMs);
  else if (entry.record === undefined && record !== undefined)
    tables.changeAddresses(entry.ipOwner, 'kernel', [], fromKernel, fromMs, atMs);
  if (record !== undefined) Object.assign(entry.ipOwner, { zone: record.zone, region: record.region });
  entry.keys = keys;
  tables.declare(entry, record);
}

/** All addresses and ranges; zone and region of the first source that has them. */
function mergeNodes(records: readonly NodeRecord[]): NodeRecord | undefined {
  const [first, ...others] = records;
  if (first === undefined || others.length === 0) return first;
  const podRanges = records.flatMap((it) => it.podRanges ?? []);
  return {
    name: first.name,
    zone: records.find(({ zone }) => zone !== '')?.zone ?? '',
    region: records.find(({ region }) => region !== '')?.region ?? '',
    addresses: records.flatMap(({ addresses }) => addresses),
    ...(podRanges.length === 0 ? {} : { podRanges }),
  };
}

/** A kubelet's clock may be ahead of ours: no pod has had its address since a time to come. */
function beginOf({ fromMs }: PodRecord, otherwiseMs: number, atMs: number): number {
  return fromMs === undefined ? otherwiseMs : Math.min(fromMs, atMs);
}
