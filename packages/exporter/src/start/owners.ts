import type { Lifecycle } from '@egressd/daemon/lifecycle';
import type { Log } from '@egressd/daemon/log';
import { parseRange } from '@egressd/flow/address';
import type { Registry } from 'prom-client';
import type { ClusterClock } from '../clock/cluster-clock.ts';
import type { ExporterConfig } from '../config/config.ts';
import { watchInventory } from '../inventory/watch.ts';
import type { KubeAccess } from '../kube/access.ts';
import { followKubernetes, type Kubernetes } from '../kube/kubernetes.ts';
import { NodeProblemWatch } from '../node-problems/watch.ts';
import type { OwnerRegistry } from '../owners/registry.ts';
import type { OpenStreams } from '../receiver/open-streams.ts';

/** How often nodes without a collector, and the problems of nodes, are reported. */
const CHECK_NODES_MS = 60_000;

interface Surroundings {
  readonly registry: Registry;
  readonly log: Log;
  readonly lifecycle: Lifecycle;
  readonly clock: ClusterClock;
}

/** Names of the sources that declare who has which address. */
export function ownerSources({ inventory }: ExporterConfig, access: KubeAccess | undefined): string[] {
  const kubernetes = access === undefined ? [] : ['kubernetes'];
  return ['settings', ...(inventory === undefined ? [] : ['inventory']), ...kubernetes];
}

/** Starts all of them. @returns Kubernetes, where it is one */
export async function followOwners(
  { inventory, clusterRanges }: ExporterConfig,
  access: KubeAccess | undefined,
  owners: OwnerRegistry,
  { registry, log, lifecycle, clock }: Surroundings,
): Promise<Kubernetes | undefined> {
  const { now } = clock;
  // The configuration has checked them.
  const ranges = clusterRanges.map((text) => parseRange(text)!);
  owners.source('settings').replace({ nodes: [], pods: [], clusterRanges: ranges }, now());
  if (inventory !== undefined) {
    const watched = await watchInventory({ path: inventory, owners: owners.source('inventory'), registry, log, now });
    lifecycle.onStop('inventory', () => watched.close());
  }
  if (access === undefined) {
    if (inventory === undefined) log.warn(NO_OWNERS);
    return undefined;
  }
  const aheadOf = (node: string) => clock.aheadOf(node);
  const kubernetes = followKubernetes({ access, owners: owners.source('kubernetes'), registry, log, now, aheadOf });
  lifecycle.onStop('kubernetes', () => kubernetes.close());
  return kubernetes;
}

const NO_OWNERS =
  'neither Kubernetes nor an inventory: no address can be given to a pod, so no flow is kept; set -kubeconfig, or inventory in the configuration';

/** The problems of nodes are logged, counted and, where there is Kubernetes, reported as its Events. */
export function watchNodes(
  streams: OpenStreams,
  kubernetes: Kubernetes | undefined,
  { registry, log, lifecycle, clock: { now } }: Surroundings,
): NodeProblemWatch {
  const problems = new NodeProblemWatch({
    streaming: () => streams.nodes,
    report: (event) => kubernetes?.record(event),
    log,
    registry,
    now,
  });
  const timer = setInterval(() => {
    kubernetes?.checkCollectors(streams.nodes);
    problems.check();
  }, CHECK_NODES_MS);
  lifecycle.onStop('nodes', () => clearInterval(timer));
  return problems;
}
