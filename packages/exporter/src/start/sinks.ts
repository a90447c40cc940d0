import type { Environment } from '@egressd/daemon/flags';
import type { Log } from '@egressd/daemon/log';
import { VERSION } from '@egressd/daemon/version';
import type { Registry } from 'prom-client';
import type { RestoredTotals } from '../aggregate/image.ts';
import type { ExporterConfig } from '../config/config.ts';
import { buildSink } from '../sinks/build.ts';
import { createSinkMetrics } from '../sinks/delivery/metrics.ts';
import { type Accepted, SinkDelivery, type SinkDeliveryOptions } from '../sinks/delivery/sink-delivery.ts';
import type { Checkpoint } from '../state/checkpoint/format.ts';

interface SinkSurroundings {
  readonly environment: Environment;
  readonly registry: Registry;
  readonly log: Log;
  /** Resolves when what a sink is about to send is on the disk; undefined: nothing is kept there. */
  readonly durable: SinkDeliveryOptions['durable'];
  readonly onAccepted: (sink: string, accepted: Accepted) => void;
  readonly now: () => number;
}

/** The deliveries of all configured sinks, by name. */
export function sinkDeliveries(
  { sinks, exportIntervalMs: intervalMs }: ExporterConfig,
  { environment, registry, log, durable, onAccepted, now }: SinkSurroundings,
): ReadonlyMap<string, SinkDelivery> {
  const metrics = createSinkMetrics(registry);
  const startedMs = now();
  return new Map(
    sinks.map((settings) => {
      const sink = buildSink(settings, { version: VERSION, environment });
      const accept = (accepted: Accepted) => onAccepted(sink.name, accepted);
      return [sink.name, new SinkDelivery({ sink, startedMs, intervalMs, metrics, log, durable, onAccepted: accept })];
    }),
  );
}

/** Without a checkpoint counters start at zero: logged where a sink sends them, with what it may cost at a receiver that deduplicates. */
export function logNewStart({ sinks }: ExporterConfig, log: Log): void {
  const names = sinks.filter(({ kind }) => kind === 'prom_remote_write' || kind === 'otlp').map(({ name }) => name);
  if (names.length === 0) return;
  log.info('there is no checkpoint, counters start at zero', {
    sinks: names.join(', '),
    advice:
      'a receiver that deduplicates (VictoriaMetrics with -dedup.minScrapeInterval) may drop the last sample of an exporter before for the ' +
      'zero: keep -state-dir on a volume (chart: exporter.state.persistent), or set that interval below half of exportInterval',
  });
}

/** Sinks resume from a checkpoint. One that it does not have gets what is counted from now on. */
export function resumeSinks(
  sinks: ReadonlyMap<string, SinkDelivery>,
  checkpoint: Checkpoint,
  totals: RestoredTotals,
  log: Log,
): void {
  for (const [name, delivery] of sinks) {
    const state = checkpoint.sinks.get(name);
    if (state === undefined) delivery.startFrom(totals);
    else delivery.resume(state, totals);
  }
  for (const name of checkpoint.sinks.keys())
    if (!sinks.has(name))
      log.warn('sink removed from the configuration, what it lacks is sent nowhere', { sink: name });
}
