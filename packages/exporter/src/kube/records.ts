import { parseAddress, parseRange, type Range } from '@egressd/flow/address';
import type { PodRecord } from '../owners/owner-source.ts';
import type { NodeRecord } from '../owners/owners.ts';
import { asList, asMap, asText, asTime } from './json.ts';
import { workloadOf } from './workload.ts';

/**
 * Problems of an object:
 *
 *   malformed           no name or no UID: it is skipped
 *   malformed_address   an address or a range that cannot be parsed: that is skipped
 *   no_address          a running pod or a node without any address
 *   no_zone             a node without the label topology.kubernetes.io/zone
 *   duplicate_address   a pod has the address of another pod: the later one owns it
 *   too_large           more JSON than is read of one object: it is skipped, and read past
 */
export const PROBLEMS = [
  'malformed',
  'malformed_address',
  'no_address',
  'no_zone',
  'duplicate_address',
  'too_large',
] as const;
export type Problem = (typeof PROBLEMS)[number];
/** Called for each problem, with the name of the object. */
export type OnProblem = (problem: Problem, object: string) => void;

/** Labels of a node's zone, the current one first, then the one that Kubernetes 1.17 deprecated. */
const ZONE_LABELS = ['topology.kubernetes.io/zone', 'failure-domain.beta.kubernetes.io/zone'];
/** The same of its region. */
const REGION_LABELS = ['topology.kubernetes.io/region', 'failure-domain.beta.kubernetes.io/region'];

/** Kubernetes writes times in whole seconds, rounded down. */
const SECOND_MS = 1000;
/** Addresses of one object that are read: a pod has two, a node a few. */
const MAX_ADDRESSES = 64;

/** What is read of a pod: some 300 bytes of 10 KB. */
export interface PodFacts {
  readonly pod: PodRecord;
  /** Its phase is Succeeded or Failed: it no longer has the addresses that its status still has. */
  readonly finished: boolean;
  /** When its last container ended (exclusive), Unix milliseconds; undefined: one runs, or the status has no time. */
  readonly endedMs: number | undefined;
  readonly problems: readonly Problem[];
}

/** What is read of a node. */
export interface NodeFacts {
  readonly node: NodeRecord;
  readonly podRanges: readonly Range[];
  /** The chart's DaemonSet can run on it. */
  readonly runsCollectors: boolean;
  readonly problems: readonly Problem[];
}

/** Reads a `Pod` (core/v1); undefined where it has no name, namespace or UID. */
export function readPod(object: unknown): PodFacts | undefined {
  const { metadata, spec, status } = parts(object);
  const [key, name, namespace] = [asText(metadata.uid), asText(metadata.name), asText(metadata.namespace)];
  if (key === '' || name === '' || namespace === '') return undefined;
  const hostNetwork = spec.hostNetwork === true;
  // podIPs has all of them, podIP (older) the first.
  const ips = asList(status.podIPs).map((one) => asText(asMap(one).ip));
  const { addresses, problems } = readAddresses(ips.length > 0 ? ips : [asText(status.podIP)]);
  const phase = asText(status.phase);
  if (phase === 'Running' && addresses.length === 0 && problems.length === 0) problems.push('no_address');
  const fromMs = networkSince(status);
  const workload = workloadOf(metadata);
  const pod: PodRecord = {
    key,
    namespace,
    name,
    node: asText(spec.nodeName),
    addresses: hostNetwork ? [] : addresses,
    hostNetwork,
    ...(fromMs === undefined ? {} : { fromMs }),
    ...(workload === undefined ? {} : { workload }),
  };
  return { pod, finished: phase === 'Succeeded' || phase === 'Failed', endedMs: endOf(status), problems };
}

/**
 * Reads a `Node` (core/v1); undefined where it has no name. Its zone and region are those of the labels topology.kubernetes.io/zone and
 * topology.kubernetes.io/region.
 */
export function readNode(object: unknown): NodeFacts | undefined {
  const { metadata, spec, status } = parts(object);
  const name = asText(metadata.name);
  if (name === '') return undefined;
  // Hostname, InternalDNS and ExternalDNS are names.
  const ips = asList(status.addresses)
    .map(asMap)
    .filter(({ type }) => type === 'InternalIP' || type === 'ExternalIP')
    .map((one) => asText(one.address));
  const { addresses, problems } = readAddresses(ips);
  if (addresses.length === 0 && problems.length === 0) problems.push('no_address');
  const labels = asMap(metadata.labels);
  const label = (keys: readonly string[]) => keys.map((key) => asText(labels[key])).find((text) => text !== '') ?? '';
  const [zone, region] = [zoneOf(label(ZONE_LABELS), asText(spec.providerID)), label(REGION_LABELS)];
  if (zone === '') problems.push('no_zone');
  const cidrs = asList(spec.podCIDRs).length > 0 ? asList(spec.podCIDRs) : [spec.podCIDR];
  const ranges = cidrs.map(asText).filter((text) => text !== '');
  const podRanges = ranges.map(parseRange).filter((range) => range !== undefined);
  if (podRanges.length < ranges.length) problems.push('malformed_address');
  return { node: { name, zone, region, addresses }, podRanges, runsCollectors: runsCollectors(labels), problems };
}

/** The resource version of a list or an object, from which a watch can start; empty: none. */
export function resourceVersionOf(object: unknown): string {
  return asText(asMap(asMap(object).metadata).resourceVersion);
}

function parts(object: unknown) {
  const { metadata, spec, status } = asMap(object);
  return { metadata: asMap(metadata), spec: asMap(spec), status: asMap(status) };
}

/** The unspecified address (0.0.0.0, ::) is not an address of anything. */
function readAddresses(texts: readonly string[]): { addresses: Uint8Array[]; problems: Problem[] } {
  const given = texts.filter((text) => text !== '').slice(0, MAX_ADDRESSES);
  const addresses = given
    .map(parseAddress)
    .filter((bytes) => bytes !== undefined)
    .filter((bytes) => bytes.subarray(12).some((byte) => byte !== 0));
  return { addresses, problems: addresses.length < given.length ? ['malformed_address'] : [] };
}

/**
 * Since when the pod has its addresses. The kubelet accepts a pod (`startTime`) before its sandbox is made, and volumes may take long in
 * between, while another pod still has the address. The condition PodReadyToStartContainers (1.29 and newer) has the time of the sandbox,
 * and no container sends a byte before; but up to 1.35 it turns true only once all containers have started, so the first start of a
 * container counts where it is earlier. Without the condition, `startTime` has to do.
 */
function networkSince(status: Readonly<Record<string, unknown>>): number | undefined {
  const ready = asList(status.conditions)
    .map(asMap)
    .find(({ type, status: is }) => type === 'PodReadyToStartContainers' && is === 'True');
  const readyMs = asTime(ready?.lastTransitionTime);
  if (readyMs === undefined) return asTime(status.startTime);
  const containers = [...asList(status.initContainerStatuses), ...asList(status.containerStatuses)];
  // The state, not the last one: that is of a container which was restarted.
  const states = containers.map((one) => asMap(asMap(one).state));
  const starts = states.map(
    (state) => asTime(asMap(state.running).startedAt) ?? asTime(asMap(state.terminated).startedAt),
  );
  return Math.min(readyMs, ...starts.filter((start) => start !== undefined));
}

/** On Azure a region without zones has fault domains instead, numbered from 0: no zones, and no traffic between them is billed. */
function zoneOf(label: string, providerId: string): string {
  return providerId.startsWith('azure://') && /^\d+$/.test(label) ? '' : label;
}

/** Virtual nodes (Fargate, virtual-kubelet) and Windows run no collector of ours: none is missing there. */
function runsCollectors(labels: Readonly<Record<string, unknown>>): boolean {
  return (
    labels['eks.amazonaws.com/compute-type'] !== 'fargate' &&
    labels.type !== 'virtual-kubelet' &&
    labels['kubernetes.io/os'] !== 'windows'
  );
}

/** When the last of all containers ended; undefined while one runs or waits. */
function endOf(status: Readonly<Record<string, unknown>>): number | undefined {
  // Sidecars are init containers that keep running, and end last.
  const containers = [...asList(status.containerStatuses), ...asList(status.initContainerStatuses)];
  const ends = containers.map((one) => asTime(asMap(asMap(asMap(one).state).terminated).finishedAt));
  if (ends.length === 0 || ends.includes(undefined)) return undefined;
  return Math.max(...ends.map((end) => end ?? 0)) + SECOND_MS;
}
