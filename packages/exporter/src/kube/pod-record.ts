import type { PodRecord } from '../owners/owner-source.ts';
import { asList, asMap, asText, asTime } from './json.ts';
import { objectParts, readAddresses } from './object-parts.ts';
import type { Problem } from './problems.ts';
import { workloadOf } from './workload.ts';

/** Kubernetes writes times in whole seconds, rounded down. */
const SECOND_MS = 1000;

/** What is read of a pod: some 300 bytes of 10 KB. */
export interface PodFacts {
  readonly pod: PodRecord;
  /** Its phase is Succeeded or Failed: it no longer has the addresses that its status still has. */
  readonly finished: boolean;
  /** When its last container ended (exclusive), Unix milliseconds; undefined: one runs, or the status has no time. */
  readonly endedMs: number | undefined;
  readonly problems: readonly Problem[];
}

/** Reads a `Pod` (core/v1); undefined where it has no name, namespace or UID. */
export function readPod(object: unknown): PodFacts | undefined {
  const { metadata, spec, status } = objectParts(object);
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
    ...(phase === 'Running' && metadata.deletionTimestamp === undefined ? { running: true } : {}),
    ...(fromMs === undefined ? {} : { fromMs }),
    ...(workload === undefined ? {} : { workload }),
  };
  return { pod, finished: phase === 'Succeeded' || phase === 'Failed', endedMs: endOf(status), problems };
}

/**
 * Since when the pod has its addresses. The kubelet accepts a pod (`startTime`) before its sandbox is made, and volumes may take long in
 * between, while another pod still has the address. The condition PodReadyToStartContainers (1.29 and newer) has the time of the sandbox,
 * and no container sends a byte before; but up to 1.35 it turns true only once all containers have started, so the first start of a
 * container counts where it is earlier, or where there is no such condition yet. Without either, or where a container was started again,
 * `startTime` has to do.
 */
function networkSince(status: Readonly<Record<string, unknown>>): number | undefined {
  const ready = asList(status.conditions)
    .map(asMap)
    .find(({ type, status: is }) => type === 'PodReadyToStartContainers' && is === 'True');
  const readyMs = asTime(ready?.lastTransitionTime);
  const containers = [...asList(status.initContainerStatuses), ...asList(status.containerStatuses)].map(asMap);
  const starts = containers.map(startOf).filter((start) => start !== undefined);
  if (readyMs !== undefined) return Math.min(readyMs, ...starts);
  const restarted = containers.some(({ restartCount }) => typeof restartCount === 'number' && restartCount > 0);
  return starts.length === 0 || restarted ? asTime(status.startTime) : Math.min(...starts);
}

/** Of the state, not the last one: that is of a container which was restarted. */
function startOf(container: Readonly<Record<string, unknown>>): number | undefined {
  const { running, terminated } = asMap(container.state);
  return asTime(asMap(running).startedAt) ?? asTime(asMap(terminated).startedAt);
}

/** When the last of all containers ended; undefined while one runs or waits. */
function endOf(status: Readonly<Record<string, unknown>>): number | undefined {
  // Sidecars are init containers that keep running, and end last.
  const containers = [...asList(status.containerStatuses), ...asList(status.initContainerStatuses)];
  const ends = containers.map((one) => asTime(asMap(asMap(asMap(one).state).terminated).finishedAt));
  if (ends.length === 0 || ends.includes(undefined)) return undefined;
  return Math.max(...ends.map((end) => end ?? 0)) + SECOND_MS;
}
