import { EventEmitter } from 'node:events';
import type { Environment } from '@egressd/daemon/flags';
import { startHttp } from '@egressd/daemon/http';
import { createHttpRefusals } from '@egressd/daemon/http-refusals';
import type { Lifecycle } from '@egressd/daemon/lifecycle';
import type { Log } from '@egressd/daemon/log';
import { createRegistry } from '@egressd/daemon/metrics';
import { serverTls } from '@egressd/daemon/tls';
import { parseRange } from '@egressd/flow/address';
import { ClusterClock } from '../clock/cluster-clock.ts';
import { clockReport } from '../clock/report.ts';
import type { ExporterConfig } from '../config/config.ts';
import { Exporter } from '../exporter.ts';
import type { ExporterFlags } from '../flags.ts';
import { findAccess } from '../kube/access.ts';
import { watchNetworks } from '../networks/watch.ts';
import { OwnerRegistry } from '../owners/registry.ts';
import { OpenStreams } from '../receiver/open-streams.ts';
import { startReceiver } from '../receiver/receiver.ts';
import type { Accepted } from '../sinks/delivery/sink-delivery.ts';
import { BatchOffsets } from '../state/batch-offsets.ts';
import { TrafficExposition } from '../web/traffic-exposition.ts';
import { memoryBudget } from './budget.ts';
import { nodeClocks } from './clocks.ts';
import { followOwners, ownerSources, watchNodes } from './owners.ts';
import { logNewStart, resumeSinks, sinkDeliveries } from './sinks.ts';
import { checkpointStore, restoreIpHistory, stateDirectoryLock } from './state.ts';

/** Of the time that a stop may take: for the sinks to take the last snapshot, and for the streams to end. A last checkpoint comes between. */
const LAST_DELIVERY_MS = 5_000;
const STREAMS_CLOSE_MS = 1_500;
/** Export interval at most, where only `/metrics` shows the totals: no sink has asked for another pace. */
const EXPOSITION_INTERVAL_MS = 5_000;
/** How often pending batches are looked at. */
const ENRICH_PENDING_MS = 500;

interface Start {
  readonly flags: ExporterFlags;
  readonly config: ExporterConfig;
  readonly environment: Environment;
  readonly log: Log;
  readonly lifecycle: Lifecycle;
}

/** What the exporter waits for before it commits batches. */
interface Progress {
  /** A sink has accepted a snapshot. */
  accepted: [sink: string, accepted: Accepted];
  /** What is on the disk has changed. */
  saved: [];
}

/**
 * Starts everything and names how each is stopped. First what has no side effects, from the end of the way of a batch to its beginning;
 * then what was saved is restored; then sources of owners, streams and exports begin, in the order in which data comes to need them.
 * @throws Error that says why not
 */
export async function startExporter({ flags, config, environment, log, lifecycle }: Start): Promise<void> {
  const registry = createRegistry();
  const clock = new ClusterClock(clockReport(log, registry));
  const { now } = clock;
  const surroundings = { registry, log, lifecycle, clock };
  const access = findAccess(flags.kubeconfig, environment);
  const owners = new OwnerRegistry(ownerSources(config, access));
  const offsets = new BatchOffsets();
  const streams = new OpenStreams();
  const progress = new EventEmitter<Progress>();
  const exposition = config.metrics.flows ? new TrafficExposition({ registry }) : undefined;
  const state = checkpointStore(flags, registry, log, () => progress.emit('saved'));
  const durable = state === undefined ? undefined : (signal: AbortSignal) => state.durable(signal);
  const onAccepted = (sink: string, accepted: Accepted) => progress.emit('accepted', sink, accepted);
  const sinks = sinkDeliveries(config, { environment, registry, log, durable, onAccepted, now });
  const waitForOwners = access !== undefined;
  const networks = await watchNetworks({ settings: config, registry, log });
  lifecycle.onStop('networks', () => networks.close());
  const enrich = {
    networks,
    privateRanges: config.privateRanges.map((text) => parseRange(text)!),
    dropUnlisted: !config.keepUnlisted,
  };
  const budget = memoryBudget(config, log);
  const exporter = new Exporter({
    owners,
    offsets,
    waitForOwners,
    sinks,
    exposition,
    state,
    enrich,
    registry,
    log,
    now,
    maxSeries: budget.series,
    pendingBytes: budget.pendingBytes,
  });
  clock.onMoved((moved) => exporter.moveTime(moved));
  progress.on('accepted', (sink, accepted) => exporter.accepted(sink, accepted, streams));
  progress.on('saved', () => exporter.commit(streams));

  const lock = stateDirectoryLock(flags, log);
  const http = await startHttp({
    port: flags.httpListenPort,
    registry,
    refused: createHttpRefusals(registry, 'exporter'),
    ready: () => [lock.notReady(), ...notReady(exporter, streams)].filter((reason) => reason !== undefined),
    extraMetrics: () => exposition?.text() ?? [],
  });
  lifecycle.onStop('http', () => http.close());

  await lock.acquire(lifecycle);
  await restoreIpHistory(flags, owners, log, registry, lifecycle, now);
  const checkpoint = await state?.load();
  const totals = checkpoint === undefined ? undefined : exporter.restore(checkpoint);
  if (totals !== undefined) exposition?.startFrom(totals);
  else logNewStart(config, log);

  const kubernetes = await followOwners(config, access, owners, surroundings);
  const problems = watchNodes(streams, kubernetes, surroundings);
  const tls = serverTls(tlsFlags(flags), log, registry);
  lifecycle.onStop('tls', () => tls.stop());
  const receiver = await startReceiver({
    host: tls.host,
    port: flags.grpcListenPort,
    credentials: tls.credentials,
    certificates: tls.certificates,
    offsets,
    streams,
    notReady: () => exporter.notReady(),
    isListed: (node) => owners.node(node) !== undefined,
    admit: (collector, nodeAddresses) => exporter.admit(collector, nodeAddresses),
    onBatch: (batch) => exporter.apply(batch),
    onHealth: (collector, { nodeAddresses, ...health }) => {
      if (nodeAddresses !== undefined) exporter.takeAddresses(collector, nodeAddresses);
      problems.take(collector, health);
    },
    wantOriginalDestination: false,
    now,
    clocks: nodeClocks(clock, owners),
    log,
    registry,
    limits: {
      streams: budget.streams,
      unfinishedMessageBytes: budget.unfinishedMessageBytes,
      unfinishedBytes: budget.unfinishedBatchBytes,
    },
  });

  if (checkpoint !== undefined && totals !== undefined) resumeSinks(sinks, checkpoint, totals, log);
  state?.start(checkpoint, totals?.series ?? [], sinks);
  const exportTimer = setInterval(() => exporter.export(streams), exportIntervalMs(config));
  const pendingTimer = setInterval(() => exporter.enrichPending(), ENRICH_PENDING_MS);
  lifecycle.onStop('last delivery', async () => {
    clearInterval(exportTimer);
    clearInterval(pendingTimer);
    receiver.stopAccepting();
    await exporter.finish(streams, LAST_DELIVERY_MS);
    await receiver.close({ deadlineMs: STREAMS_CLOSE_MS });
  });
  log.info('listening', { collectors: `${tls.host}:${receiver.port}`, http: http.port, sinks: sinks.size });
}

function exportIntervalMs({ exportIntervalMs: configuredMs, sinks }: ExporterConfig): number {
  return sinks.length > 0 ? configuredMs : Math.min(configuredMs, EXPOSITION_INTERVAL_MS);
}

function notReady(exporter: Exporter, streams: OpenStreams): string[] {
  const reasons = [exporter.notReady(), streams.listening ? undefined : 'it does not listen for collectors yet'];
  return reasons.filter((reason) => reason !== undefined);
}

function tlsFlags({ tlsCertFile = '', tlsKeyFile = '', tlsCaFile = '', insecure }: ExporterFlags) {
  return { certFile: tlsCertFile, keyFile: tlsKeyFile, caFile: tlsCaFile, insecure };
}
