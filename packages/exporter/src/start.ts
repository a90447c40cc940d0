import type { Environment } from '@egressd/daemon/flags';
import { startHttp } from '@egressd/daemon/http';
import type { Lifecycle } from '@egressd/daemon/lifecycle';
import type { Log } from '@egressd/daemon/log';
import { createRegistry } from '@egressd/daemon/metrics';
import { serverTls } from '@egressd/daemon/tls';
import { VERSION } from '@egressd/daemon/version';
import { parseRange, type Range } from '@egressd/flow/address';
import type { Registry } from 'prom-client';
import type { RestoredTotals } from './aggregate/image.ts';
import type { ExporterConfig } from './config/config.ts';
import { Exporter } from './exporter.ts';
import type { ExporterFlags } from './flags.ts';
import { watchInventory } from './inventory/inventory.ts';
import { findAccess } from './kube/access.ts';
import { followKubernetes, type Kubernetes } from './kube/kubernetes.ts';
import { NodeProblemWatch } from './node-problems/watch.ts';
import { OwnerRegistry } from './owners/registry.ts';
import { type Receiver, startReceiver } from './receiver/receiver.ts';
import { buildSink } from './sinks/build.ts';
import { createSinkMetrics } from './sinks/delivery/metrics.ts';
import { type Accepted, SinkDelivery, type SinkDeliveryOptions } from './sinks/delivery/sink-delivery.ts';
import { BatchOffsets } from './state/batch-offsets.ts';
import { CheckpointStore } from './state/checkpoint/checkpoint-store.ts';
import type { Checkpoint } from './state/checkpoint/format.ts';
import { IpHistoryStore } from './state/ip-history/ip-history-store.ts';
import { Locked, lockFolder } from './state/lock.ts';
import { TrafficExposition } from './web/traffic-exposition.ts';

/** Of the time that a stop may take: for the sinks to take the last snapshot, and for the streams to end. A last checkpoint comes between. */
const LAST_DELIVERY_MS = 5_000;
const STREAMS_CLOSE_MS = 1_500;
/** Where nobody but `/metrics` shows the totals they are brought there so often: nobody has chosen another pace. */
const PAGE_INTERVAL_MS = 5_000;

/** Batches that wait for their pods are looked at so often. */
const JOIN_WAITING_MS = 500;

/** Nodes without a collector, and those whose kernel is amiss, are looked for so often. */
const CHECK_NODES_MS = 60_000;

export interface Start {
  readonly flags: ExporterFlags;
  readonly config: ExporterConfig;
  readonly environment: Environment;
  readonly log: Log;
  readonly lifecycle: Lifecycle;
}

/** Starts everything, in the order in which data comes to need it, and names how each is stopped. @throws Error that says why not */
export async function startExporter({ flags, config, environment, log, lifecycle }: Start): Promise<void> {
  const registry = createRegistry();
  const access = findAccess(flags.kubeconfig, environment);
  const owners = new OwnerRegistry(ownerSources(config, access !== undefined));
  const offsets = new BatchOffsets();
  const sinks = new Map<string, SinkDelivery>();
  const exposition = config.metrics.flows ? new TrafficExposition({ registry }) : undefined;
  let receiver: Receiver | undefined;
  const state = keptState(flags, sinks, registry, log, () => receiver !== undefined && exporter.commit(receiver));
  const exporter = new Exporter({
    owners,
    offsets,
    wait: access !== undefined,
    sinks,
    exposition,
    state,
    registry,
    log,
  });

  const http = await startHttp({
    port: flags.httpListenPort,
    registry,
    ready: () => notReady(exporter, receiver),
    extraMetrics: () => exposition?.text() ?? [],
  });
  lifecycle.onStop('http', () => http.close());
  await lockState(flags, log, lifecycle);
  await keepHistory(flags, owners, log, registry, lifecycle);
  const restored = await state?.load();
  const standing = restored === undefined ? undefined : exporter.restore(restored);
  if (standing !== undefined) exposition?.startFrom(standing);
  owners
    .source('settings')
    .replace({ nodes: [], pods: [], clusterRanges: config.clusterRanges.map(rangeOf) }, Date.now());
  await startInventory(config, owners, log, registry, lifecycle);
  const kubernetes =
    access === undefined ? undefined : followKubernetes({ access, owners: owners.source('kubernetes'), registry, log });
  if (kubernetes !== undefined) lifecycle.onStop('kubernetes', () => kubernetes.close());
  const health = watchNodes(() => nodesOf(receiver), kubernetes, log, registry, lifecycle);
  if (config.inventory === undefined && access === undefined) log.warn(NO_OWNERS);

  const tls = serverTls(tlsFlags(flags), log, registry);
  lifecycle.onStop('tls', () => tls.stop());
  receiver = await startReceiver({
    host: tls.host,
    port: flags.grpcListenPort,
    credentials: tls.credentials,
    certificates: tls.certificates,
    offsets,
    ready: () => exporter.notReady(),
    admit: (collector) => exporter.admit(collector),
    onBatch: (batch) => exporter.apply(batch),
    onHealth: (collector, told) => health.take(collector, told),
    wantOriginalDestination: false,
    log,
    registry,
  });
  const streams = receiver;
  const durable = state === undefined ? undefined : (signal: AbortSignal) => state.durable(signal);
  const deliver = {
    durable,
    onAccepted: (name: string, accepted: Accepted) => exporter.accepted(name, accepted, streams),
  };
  makeSinks({ config, environment, log }, registry, sinks, deliver);
  goOn(sinks, restored, standing, log);
  state?.start(restored, standing?.series ?? []);
  const intervalMs = sinks.size > 0 ? config.exportIntervalMs : Math.min(config.exportIntervalMs, PAGE_INTERVAL_MS);
  const timer = setInterval(() => exporter.export(streams), intervalMs);
  const waitTimer = setInterval(() => exporter.joinWaiting(), JOIN_WAITING_MS);
  lifecycle.onStop('last delivery', async () => {
    clearInterval(timer);
    clearInterval(waitTimer);
    streams.stopTaking();
    await exporter.finish(streams, LAST_DELIVERY_MS);
    await streams.close({ deadlineMs: STREAMS_CLOSE_MS });
  });
  log.info('listening', { collectors: `${tls.host}:${streams.port}`, http: http.port, sinks: sinks.size });
}

const NO_OWNERS =
  'neither Kubernetes nor an inventory: no address can be given to a pod, so no flow is kept; set -kubeconfig, or inventory in the configuration';

/** Who tells which address is whose, by name. */
function ownerSources({ inventory }: ExporterConfig, kubernetes: boolean): string[] {
  return ['settings', ...(inventory === undefined ? [] : ['inventory']), ...(kubernetes ? ['kubernetes'] : [])];
}

function nodesOf(receiver: Receiver | undefined): Set<string> {
  return new Set(receiver?.collectors.map(({ node }) => node));
}

/** What is amiss with nodes is said, shown and, where there is Kubernetes, told there. */
function watchNodes(
  speaking: () => ReadonlySet<string>,
  kubernetes: Kubernetes | undefined,
  log: Log,
  registry: Registry,
  lifecycle: Lifecycle,
): NodeProblemWatch {
  const health = new NodeProblemWatch({ speaking, tell: (event) => kubernetes?.record(event), log, registry });
  const timer = setInterval(() => {
    kubernetes?.checkCollectors(speaking());
    health.check();
  }, CHECK_NODES_MS);
  lifecycle.onStop('nodes', () => clearInterval(timer));
  return health;
}

/** The configuration has checked it. */
function rangeOf(text: string): Range {
  return parseRange(text)!;
}

/** Before any source tells. */
async function keepHistory(
  { stateDir }: ExporterFlags,
  owners: OwnerRegistry,
  log: Log,
  registry: Registry,
  lifecycle: Lifecycle,
): Promise<void> {
  if (stateDir === undefined) return;
  const kept = new IpHistoryStore({ folder: stateDir, owners, registry, log });
  await kept.start();
  lifecycle.onStop('IP history', () => kept.close());
}

async function startInventory(
  { inventory }: ExporterConfig,
  owners: OwnerRegistry,
  log: Log,
  registry: Registry,
  lifecycle: Lifecycle,
): Promise<void> {
  if (inventory === undefined) return;
  const watched = await watchInventory({ path: inventory, owners: owners.source('inventory'), registry, log });
  lifecycle.onStop('inventory', () => watched.close());
}

function notReady(exporter: Exporter, receiver: Receiver | undefined): string[] {
  const reasons = [exporter.notReady(), receiver === undefined ? 'it does not listen for collectors yet' : undefined];
  return reasons.filter((reason) => reason !== undefined);
}

function tlsFlags({ tlsCertFile = '', tlsKeyFile = '', tlsCaFile = '', insecure }: ExporterFlags) {
  return { certFile: tlsCertFile, keyFile: tlsKeyFile, caFile: tlsCaFile, insecure };
}

/** How deliveries tell and ask the rest. */
interface DeliverTo {
  readonly durable: SinkDeliveryOptions['durable'];
  readonly onAccepted: (name: string, accepted: Accepted) => void;
}

function makeSinks(
  { config: { sinks, exportIntervalMs }, environment, log }: Pick<Start, 'config' | 'environment' | 'log'>,
  registry: Registry,
  into: Map<string, SinkDelivery>,
  { durable, onAccepted }: DeliverTo,
): void {
  const metrics = createSinkMetrics(registry);
  const startedMs = Date.now();
  for (const settings of sinks) {
    const sink = buildSink(settings, { version: VERSION, environment });
    const delivery = new SinkDelivery({
      sink,
      startedMs,
      intervalMs: exportIntervalMs,
      metrics,
      log,
      durable,
      onAccepted: (accepted) => onAccepted(sink.name, accepted),
    });
    into.set(sink.name, delivery);
  }
}

/** Sinks go on from the state of a life before. One that was not there then is told what is counted from now on. */
function goOn(
  sinks: ReadonlyMap<string, SinkDelivery>,
  restored: Checkpoint | undefined,
  standing: RestoredTotals | undefined,
  log: Log,
): void {
  if (restored === undefined || standing === undefined) return;
  for (const [name, delivery] of sinks) {
    const books = restored.sinks.get(name);
    if (books === undefined) delivery.startFrom(standing);
    else delivery.resume(books, standing);
  }
  for (const name of restored.sinks.keys())
    if (!sinks.has(name))
      log.warn('a sink is gone from the configuration: what it had not accepted is sent nowhere', { sink: name });
}

/** Before anything is read there. Two with one directory would each take the other's totals for their own. */
async function lockState({ stateDir }: ExporterFlags, log: Log, lifecycle: Lifecycle): Promise<void> {
  if (stateDir === undefined) return;
  try {
    const lock = await lockFolder(stateDir);
    lifecycle.onStop('lock of the state directory', () => lock.release());
  } catch (error) {
    if (error instanceof Locked) throw error;
    const advice = 'make sure that no other exporter uses it';
    log.warn('the state directory cannot be locked', { folder: stateDir, error: String(error), advice });
  }
}

/** Totals, books and epochs outlive the process where there is a directory. */
function keptState(
  { stateDir, stateEphemeral }: ExporterFlags,
  sinks: ReadonlyMap<string, SinkDelivery>,
  registry: Registry,
  log: Log,
  onChange: () => void,
): CheckpointStore | undefined {
  if (stateDir === undefined) return undefined;
  return new CheckpointStore({ folder: stateDir, ephemeral: stateEphemeral, sinks, onChange, registry, log });
}
