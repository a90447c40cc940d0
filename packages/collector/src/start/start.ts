import { randomInt } from 'node:crypto';
import { startHttp } from '@egressd/daemon/http';
import { createHttpRefusals } from '@egressd/daemon/http-refusals';
import type { Lifecycle } from '@egressd/daemon/lifecycle';
import type { Log } from '@egressd/daemon/log';
import { createRegistry } from '@egressd/daemon/metrics';
import { clientTls } from '@egressd/daemon/tls';
import { VERSION } from '@egressd/daemon/version';
import { Collector } from '../collector.ts';
import { createBlindSpotMetrics, createSourceMetrics } from '../conntrack/metrics.ts';
import { PodTraffic } from '../conntrack/pod-traffic.ts';
import { logBlock } from '../dump-ct.ts';
import type { CollectorFlags } from '../flags.ts';
import { createCollectorMetrics } from '../metrics.ts';
import { ReadSchedule } from '../read-schedule.ts';
import type { StateDirectory } from '../state/directory.ts';
import { openState } from '../state/open.ts';
import { OUTBOX_BYTES, Outbox } from '../stream/outbox.ts';
import { Stream } from '../stream/stream.ts';
import { followBlindSpots } from './blind-spots.ts';
import { followNodeAddresses } from './node-addresses.ts';
import { networkNamespace, nodeIdentity } from './node-identity.ts';
import { openSource } from './open-source.ts';
import { warnAboutSysctls } from './sysctl-warnings.ts';

/** Of the time that a stop may take: for what was read last to reach the exporter. */
const LAST_BATCH_MS = 6_000;

interface Start {
  readonly flags: CollectorFlags;
  readonly log: Log;
  readonly lifecycle: Lifecycle;
}

/** Starts everything and names how each is stopped. @throws Error that says why not */
export async function startCollector({ flags, log, lifecycle }: Start): Promise<void> {
  const registry = createRegistry();
  const source = await openSource(flags, flags.conntrackEvents, log);
  lifecycle.onStop('conntrack', () => source.close());
  createSourceMetrics(registry, source);
  warnAboutSysctls(source, flags.conntrackEvents, log);
  const podTraffic = new PodTraffic();
  const record = createBlindSpotMetrics(registry);
  const blindSpots = await followBlindSpots({ source, podTraffic, log, record });
  lifecycle.onStop('blind spots', blindSpots.stop);
  const addresses = await followNodeAddresses({ source, log, registry });
  lifecycle.onStop('addresses', addresses.stop);

  const identity = nodeIdentity(log);
  const namespace = networkNamespace(flags.hostPid);
  const { state, restored, epoch, close } = await openState({
    folder: flags.stateDir,
    identity,
    source: () => `${source.name} ${namespace}`,
    log,
    registry,
    stopping: lifecycle.stopping,
  });
  lifecycle.onStop('state', close);
  const outbox = new Outbox(OUTBOX_BYTES, (numbers) => state?.discard(numbers));
  outbox.restore(restored?.batches ?? [], epoch.last);

  const stream = new Stream({
    address: flags.exporterAddress,
    credentials: clientTls(tlsFlags(flags), flags.exporterAddress, log, registry),
    ...identity,
    epoch,
    version: VERSION,
    settings: flags,
    nodeAddresses: addresses.now,
    log,
    registry,
    outbox,
  });
  const schedule = new ReadSchedule(flags.readInterval);
  const collector = new Collector({
    source,
    stream,
    epoch,
    state,
    metrics: createCollectorMetrics(registry, source),
    log,
    maxPairs: flags.maxPairs,
    readIntervalMs: flags.readInterval,
    cleanupIntervalMs: flags.cleanupInterval,
    seed: randomInt(2 ** 32),
    now: Date.now,
    nodeAddresses: addresses.now,
    blindSpots: blindSpots.now,
    podTraffic,
    readSooner: () => schedule.readSooner(),
    ...(flags.logEntries && flags.logLevel === 'debug'
      ? { onBlock: (block) => logBlock(block, source.name, log) }
      : {}),
  });
  if (restored?.connections !== undefined) collector.restore(restored.connections);

  const ready = () => (collector.hasRead ? [] : ['the first read of the conntrack table has not ended yet']);
  const refused = createHttpRefusals(registry, 'collector');
  const http = await startHttp({ port: flags.httpListenPort, registry, refused, ready });
  lifecycle.onStop('http', () => http.close());

  stream.start(() => collector.beginEpoch());
  const reading = keepReading(collector, schedule, lifecycle.stopping);
  lifecycle.onStop('last batch', async () => {
    await reading;
    await collector.finish();
    await closeStream(stream, state, log);
  });
}

async function keepReading(collector: Collector, schedule: ReadSchedule, stopping: AbortSignal): Promise<void> {
  while (!stopping.aborted) {
    await collector.read();
    await schedule.wait(stopping);
  }
}

async function closeStream(stream: Stream, state: StateDirectory | undefined, log: Log): Promise<void> {
  const { batches, flowBytes } = await stream.close({ deadlineMs: LAST_BATCH_MS });
  if (batches === 0) return;
  log.warn('shutdown before the exporter applied every batch', {
    batches,
    flow_bytes: flowBytes,
    fate: state === undefined ? 'lost: no -state-dir' : 'saved in the state directory',
  });
}

function tlsFlags({ tlsCertFile = '', tlsKeyFile = '', tlsCaFile = '', insecure }: CollectorFlags) {
  return { certFile: tlsCertFile, keyFile: tlsKeyFile, caFile: tlsCaFile, insecure };
}
