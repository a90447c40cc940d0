import { Counter, Gauge, type Registry } from 'prom-client';
import type { Outbox } from './outbox.ts';
import type { EndReason } from './stream-end.ts';

/** Metrics of the collector's stream to the exporter. */
export interface CollectorStreamMetrics {
  readonly rejected: Counter;
  readonly rejectedFlowBytes: Counter;
  readonly ignored: Counter;
  /** A batch went out whole. */
  countSent(number: number): void;
  /** A stream ended. */
  countEnd(reason: EndReason): void;
}

/**
 * Registers them.
 * @param connected whether the exporter has answered our Hello on a stream that is open
 */
export function createCollectorStreamMetrics(
  registry: Registry,
  outbox: Outbox,
  connected: () => boolean,
): CollectorStreamMetrics {
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  const counter = (name: string, help: string) => new Counter({ name, help, registers });
  gauge('egressd_collector_stream_connected', '1 while a stream to the exporter is established, else 0.', () =>
    connected() ? 1 : 0,
  );
  gauge(
    'egressd_collector_batches_unacked',
    'Batches that the exporter has not committed. Grows while the exporter or one of its sinks is unavailable: see the exporter.',
    () => outbox.length,
  );
  gauge(
    'egressd_collector_batch_bytes_unacked',
    'Encoded bytes of the batches that the exporter has not committed. At the limit nothing more is frozen (backpressure): counters are merged, none is lost.',
    () => outbox.bytes,
  );
  gauge(
    'egressd_collector_batch_oldest_unacked_age_seconds',
    'Age of the oldest batch that the exporter has not committed. More than some minutes: the exporter or one of its sinks is unavailable, see the exporter.',
    () => outbox.ageMs(Date.now()) / 1000,
  );
  const ended = new Counter({
    name: 'egressd_collector_streams_ended_total',
    help: 'Streams to the exporter that ended, each followed by another attempt, by reason; the log says what to do.',
    labelNames: ['reason'] as const,
    registers,
  });
  const sent = counter(
    'egressd_collector_batches_sent_total',
    'Batches sent to the exporter, those that were sent again too.',
  );
  const resent = counter(
    'egressd_collector_batches_resent_total',
    'Batches sent again, after a stream broke or one of the two sides restarted. None counts twice.',
  );
  let newest = outbox.lastSent;
  return {
    rejected: counter(
      'egressd_collector_batches_rejected_total',
      'Batches that the exporter refused as malformed or too large. Their bytes are lost: the log has the reason. Report it.',
    ),
    rejectedFlowBytes: counter(
      'egressd_collector_traffic_bytes_rejected_total',
      'Bytes of traffic in rejected batches, both directions: not accounted.',
    ),
    ignored: counter(
      'egressd_collector_stream_messages_ignored_total',
      'Messages of a kind that this collector does not know: the exporter is newer. Nothing is lost.',
    ),
    countSent(number) {
      sent.inc();
      if (number <= newest) resent.inc();
      newest = Math.max(newest, number);
    },
    countEnd: (reason) => ended.inc({ reason }),
  };
}
