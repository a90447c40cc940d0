import { Counter, Gauge, type Registry } from 'prom-client';
import type { SendResult } from '../sink.ts';
import type { RefusalReason } from './refusal-reason.ts';

/** Why samples were not delivered in the frame that they were in. */
export type DropReason =
  /** Refused by itself: its series goes into backoff, and is sent later with its total. */
  | 'refused'
  /** Its series is in backoff after a refusal. */
  | 'backoff'
  /** Its series had ended, and its last sample was refused: these bytes are lost to the receiver. */
  | 'series_ended'
  /** In a refused request of which the refused samples were not all isolated. */
  | 'not_isolated'
  /** Deltas that the receiver refused beside others in a request that it stored, without saying which: lost, a repeat would double the rest. */
  | 'partly_stored'
  /** The receiver takes nothing: credentials, address, or 400 to everything. */
  | 'rejected';

/** What became of a request with deltas of which an answer was lost. */
type AmbiguousOutcome =
  /** Accepted when it was sent again. */
  | 'repeated'
  /** Refused, and perhaps stored in part: its bytes go with a later request. */
  | 'refused'
  /** The exporter stopped first: the collectors send its bytes again. */
  | 'stopped';

/** Gauges of a sink, asked for when the metrics are scraped. */
export interface SinkGauges {
  /** Age of the oldest snapshot that is not accepted; 0 where all are. */
  readonly behindSeconds: number;
  readonly sinceAcceptedSeconds: number;
  readonly unavailable: boolean;
  readonly series: number;
  readonly folded: number;
  /** Series that it refuses now, by what for. */
  readonly refused: () => ReadonlyMap<RefusalReason, number>;
}

/** Counters of all sinks, by the sink's name. */
export interface SinkMetrics {
  exported(sink: string, samples: number): void;
  dropped(sink: string, reason: DropReason, samples: number): void;
  ambiguous(sink: string, outcome: AmbiguousOutcome, samples: number): void;
  /** `status`: the HTTP status, or a word such as `timeout`. */
  request(sink: string, outcome: SendResult['outcome'], status: string, bytes: number, seconds: number): void;
  retry(sink: string): void;
  superseded(sink: string): void;
  becameUnavailable(sink: string): void;
  /** `gauges` is called at every scrape. */
  watch(sink: string, gauges: () => SinkGauges): void;
}

/** Registers the metrics of the sinks. */
export function createSinkMetrics(registry: Registry): SinkMetrics {
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Counter({ name, help, labelNames: [...labelNames], registers });
  const exported = counter('egressd_exported_events_total', 'Samples that a sink has accepted.', ['sink']);
  const dropped = counter(
    'egressd_dropped_events_total',
    'Samples that were not delivered with their frame. Their bytes stay in the totals and go with a later frame, except for reasons ' +
      "series_ended and partly_stored (deltas only). refused, backoff, not_isolated: the receiver's answer is in the log. rejected: check the URL and credentials.",
    ['sink', 'reason'],
  );
  const ambiguous = counter(
    'egressd_exporter_sink_ambiguous_samples_total',
    'Samples of deltas that may have been stored without an answer that says so, by outcome. repeated: accepted when they came again, the ' +
      'same; a receiver that honours Idempotency-Key, or drops a second sample of the same time, counts them once. refused: they go ' +
      'again with a later time, and count twice where the receiver had stored a part of the request that it refused. stopped: the exporter ' +
      'stopped first.',
    ['sink', 'outcome'],
  );
  const requests = counter(
    'egressd_exporter_sink_requests_total',
    'Requests to a sink by outcome: ok, partial (stored but for some samples), retryable (sent again) or rejected, and by HTTP status or kind of failure.',
    ['sink', 'outcome', 'status'],
  );
  const bytes = counter('egressd_exporter_sink_request_bytes_total', 'Bytes of request bodies, as sent.', ['sink']);
  const seconds = counter('egressd_exporter_sink_request_duration_seconds_total', 'Time spent waiting for answers.', [
    'sink',
  ]);
  const retries = counter('egressd_exporter_sink_retries_total', 'Requests that were sent again, unchanged.', ['sink']);
  const superseded = counter(
    'egressd_exporter_sink_superseded_snapshots_total',
    'Snapshots that were replaced by the next one before they could be sent: resolution is lost, bytes are not.',
    ['sink'],
  );
  const outages = counter(
    'egressd_exporter_sink_outages_total',
    'Times that a sink became unavailable (nothing accepted for 10 minutes), so that batches are committed without it.',
    ['sink'],
  );
  const watched = registerGauges(registry);
  return {
    exported: (sink, samples) => exported.inc({ sink }, samples),
    dropped: (sink, reason, samples) => dropped.inc({ sink, reason }, samples),
    ambiguous: (sink, outcome, samples) => ambiguous.inc({ sink, outcome }, samples),
    request(sink, outcome, status, length, took) {
      requests.inc({ sink, outcome, status });
      bytes.inc({ sink }, length);
      seconds.inc({ sink }, took);
    },
    retry: (sink) => retries.inc({ sink }),
    superseded: (sink) => superseded.inc({ sink }),
    becameUnavailable: (sink) => outages.inc({ sink }),
    watch(sink, gauges) {
      // Known from the start, so that a rate over them works from the first event.
      exported.inc({ sink }, 0);
      retries.inc({ sink }, 0);
      outages.inc({ sink }, 0);
      watched.set(sink, gauges);
    },
  };
}

/** Gauges that are filled when they are scraped, by sink. */
function registerGauges(registry: Registry): Map<string, () => SinkGauges> {
  const watched = new Map<string, () => SinkGauges>();
  const gauge = (name: string, help: string, read: (gauges: SinkGauges) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['sink'],
      registers: [registry],
      collect() {
        for (const [sink, gauges] of watched) this.set({ sink }, read(gauges()));
      },
    });
  gauge(
    'egressd_exporter_sink_pending_age_seconds',
    'Age of the oldest snapshot that a sink has not accepted; 0 where all are. Growing: the sink is down or too slow.',
    ({ behindSeconds }) => behindSeconds,
  );
  gauge(
    'egressd_exporter_sink_last_accepted_age_seconds',
    'Time since a sink accepted a whole snapshot, or since the start.',
    ({ sinceAcceptedSeconds }) => sinceAcceptedSeconds,
  );
  gauge(
    'egressd_exporter_sink_unavailable',
    '1 while a sink is unavailable (nothing accepted for 10 minutes) and batches are committed without it.',
    ({ unavailable }) => (unavailable ? 1 : 0),
  );
  gauge('egressd_exporter_sink_series', 'Series at the receiver of a sink.', ({ series }) => series);
  gauge(
    'egressd_exporter_sink_folded_series',
    'Live series beyond the cardinality limit of a sink, folded into ~other: raise maxSeries of the sink if they matter.',
    ({ folded }) => folded,
  );
  registerRefused(registry, watched);
  return watched;
}

function registerRefused(registry: Registry, watched: ReadonlyMap<string, () => SinkGauges>): void {
  new Gauge({
    name: 'egressd_exporter_sink_refused_series',
    help:
      'Series that a sink refuses now, by the limit or rule that its answers name. They are tried again after a while; their bytes stay in ' +
      "the totals. series_limit: lower maxSeries of the sink, or raise the receiver's limit.",
    labelNames: ['sink', 'reason'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [sink, gauges] of watched)
        for (const [reason, series] of gauges().refused()) this.set({ sink, reason }, series);
    },
  });
}
