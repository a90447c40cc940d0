import { randomInt } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { startHttp } from '@egressd/daemon/http';
import { EXIT, type ExitCode, type Lifecycle } from '@egressd/daemon/lifecycle';
import type { Log } from '@egressd/daemon/log';
import { createRegistry } from '@egressd/daemon/metrics';
import { clientTls } from '@egressd/daemon/tls';
import { VERSION } from '@egressd/daemon/version';
import { Collector } from './collector.ts';
import { type ChosenSource, chooseSource } from './conntrack/choose.ts';
import { mapsFolder, pinnedNames } from './conntrack/cilium/maps.ts';
import { openCiliumSource } from './conntrack/cilium/source.ts';
import { openNetfilterSource } from './conntrack/netfilter/source.ts';
import type { EventsMode } from './conntrack/netfilter/worker-messages.ts';
import type { ConnectionBlock } from './conntrack/record.ts';
import type { ConntrackSource } from './conntrack/source.ts';
import { SourceError } from './conntrack/source-error.ts';
import { dumpConnections, formatBlock } from './dump-ct.ts';
import type { CollectorFlags } from './flags.ts';
import { createCollectorMetrics, createSourceMetrics } from './metrics.ts';
import { ReadTimes } from './read-schedule.ts';
import { openState } from './state/open.ts';
import { OUTBOX_BYTES, Outbox } from './stream/outbox.ts';
import { Stream } from './stream/stream.ts';

/** How often the node's addresses are read: they travel with the next Hello. */
const ADDRESSES_INTERVAL_MS = 60_000;
/** Of the time that a stop may take: for what was read last to reach the exporter. */
const LAST_BATCH_MS = 6_000;

export interface Start {
  readonly flags: CollectorFlags;
  readonly log: Log;
  readonly lifecycle: Lifecycle;
}

/** Starts everything and names how each is stopped. @throws Error that says why not */
export async function startCollector({ flags, log, lifecycle }: Start): Promise<void> {
  const registry = createRegistry();
  const source = await openSource(flags, flags.conntrackEvents, log);
  lifecycle.onStop('conntrack', () => source.close());
  saySwitches(source, flags, log);

  createSourceMetrics(registry, source);
  const addresses = await followAddresses(source, log);
  lifecycle.onStop('addresses', addresses.stop);
  const node = nodeName(log);
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const namespace = networkNamespace(flags.hostPid);
  const { state, restored, epoch, close } = await openState({
    folder: flags.stateDir,
    here: { node, bootId },
    source: () => `${source.name} ${namespace}`,
    log,
    registry,
    stopping: lifecycle.stopping,
  });
  lifecycle.onStop('state', close);
  const outbox = new Outbox(OUTBOX_BYTES, (numbers) => state?.forget(numbers));
  outbox.restore(restored?.batches ?? [], epoch.last);
  const stream = new Stream({
    address: flags.exporterAddress,
    credentials: clientTls(tlsFlags(flags), flags.exporterAddress, log, registry),
    node,
    bootId,
    get epoch() {
      return epoch.name;
    },
    version: VERSION,
    settings: flags,
    nodeAddresses: addresses.now,
    log,
    registry,
    outbox,
    onAhead: () => collector.renumber(),
  });
  const times = new ReadTimes(flags.readInterval);
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
    readSooner: () => times.sooner(),
    ...(flags.logEntries && flags.logLevel === 'debug' ? { onBlock: logEntries(source, log) } : {}),
  });
  if (restored?.connections !== undefined) collector.restore(restored.connections);
  let reads = 0;
  const ready = () => (reads > 0 ? [] : ['the first read of the conntrack table has not ended yet']);
  const http = await startHttp({ port: flags.httpListenPort, registry, ready });
  lifecycle.onStop('http', () => http.close());

  stream.start();
  const running = keepReading(times, lifecycle.stopping, async () => {
    await collector.read();
    reads++;
  });
  lifecycle.onStop('last batch', async () => {
    await running;
    await collector.finish();
    const left = await stream.close({ deadlineMs: LAST_BATCH_MS });
    if (left.batches === 0) return;
    const fate = state === undefined ? 'this is lost' : 'this is kept in the state directory';
    log.warn(`the exporter did not take everything in time; ${fate}`, { batches: left.batches, bytes: left.flowBytes });
  });
}

/** The source that the flags ask for, or the best that there is. */
function openSource(
  { ctMode, hostPid, ciliumClockSource }: CollectorFlags,
  events: EventsMode,
  log: Log,
): Promise<ChosenSource> {
  const folder = () => mapsFolder(hostPid);
  return chooseSource({
    mode: ctMode === 'ebpf' ? undefined : ctMode,
    openNetfilter: () => openNetfilterSource({ hostPid, events }),
    openCilium: (forced) => openCiliumSource({ folder: folder(), hostPid, forced, clockSource: ciliumClockSource }),
    hasCiliumMaps: () => pinnedNames(folder()).length > 0,
    log,
    now: () => performance.now(),
  });
}

/** `-dump-ct`: prints all connections. @returns the exit code */
export async function printConnections(flags: CollectorFlags, log: Log): Promise<ExitCode> {
  try {
    const source = await openSource(flags, 'off', log);
    await dumpConnections(source, writeAll);
    await source.close();
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    log.error('cannot print the connections', { error: error.message });
    return EXIT.failed;
  }
}

/** Writes to stdout and waits until it is taken. */
function writeAll(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });
}

/** `-log-entries`: every connection that is read, at level debug. */
function logEntries(source: ConntrackSource, log: Log): (block: ConnectionBlock) => void {
  return (block) => {
    for (const entry of formatBlock(block, source.name).split('\n')) if (entry !== '') log.debug('entry', { entry });
  };
}

async function keepReading(times: ReadTimes, stopping: AbortSignal, read: () => Promise<void>): Promise<void> {
  while (!stopping.aborted) {
    await read();
    await times.wait(stopping);
  }
}

/** The node's addresses, read now and then. */
async function followAddresses(
  source: ConntrackSource,
  log: Log,
): Promise<{ now: () => readonly Uint8Array[]; stop: () => void }> {
  let addresses: readonly Uint8Array[] = [];
  const read = async () => {
    try {
      addresses = await source.nodeAddresses();
    } catch (error) {
      log.warn("the node's addresses cannot be read; the exporter goes by what it knows otherwise", {
        error: String(error),
      });
    }
  };
  await read();
  const timer = setInterval(read, ADDRESSES_INTERVAL_MS).unref();
  return { now: () => addresses, stop: () => clearInterval(timer) };
}

/** What tells the network namespace that is read from others of this boot; empty where that cannot be known. */
function networkNamespace(hostPid: boolean): string {
  try {
    return readlinkSync(hostPid ? '/proc/1/ns/net' : '/proc/self/ns/net');
  } catch {
    return '';
  }
}

function nodeName(log: Log): string {
  const name = process.env.NODE_NAME;
  if (name) return name;
  log.warn("NODE_NAME is not set: the host's name is taken for the node's", { node: hostname() });
  return hostname();
}

function tlsFlags({ tlsCertFile = '', tlsKeyFile = '', tlsCaFile = '', insecure }: CollectorFlags) {
  return { certFile: tlsCertFile, keyFile: tlsKeyFile, caFile: tlsCaFile, insecure };
}

/** What the kernel's switches mean for the numbers, once, at the start. The metrics go on telling. */
function saySwitches(source: ConntrackSource, { conntrackEvents }: CollectorFlags, log: Log): void {
  if (source.name !== 'netfilter') return;
  const { accounting, timestamps, events } = source.switches();
  const advice = 'run the collector once with -init, or set it with sysctl';
  if (accounting === false)
    log.error('nf_conntrack_acct is off: the kernel counts no bytes for new connections', { advice });
  if (timestamps === false)
    log.warn(
      'nf_conntrack_timestamp is off: a connection that follows another with the same ports may be taken for it',
      { advice },
    );
  if (conntrackEvents === 'off')
    log.info('the ends of connections are not listened for (-conntrack-events=off)', { lost: UNTOLD });
  else if (events === 0)
    log.warn('nf_conntrack_events is 0: the kernel does not tell the end of connections', { lost: UNTOLD, advice });
  else if (events === 2)
    log.info(
      'nf_conntrack_events is 2: the kernel tells the end of a connection only where somebody listened when it was opened',
      {
        lost: 'of those opened before this collector started, what they moved between its last read and their end',
        advice,
      },
    );
}

/** What is lost where no ends are told. */
const UNTOLD = 'what a connection moves between the last read that saw it and its end';
