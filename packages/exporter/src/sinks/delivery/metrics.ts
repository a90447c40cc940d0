import { Counter, Gauge, type Registry } from 'prom-client';

/** Why samples were not delivered in the frame that they were in. */
export type DropReason =
  /** Refused alone: its series pauses, and goes again later with its total. */
  | 'refused'
  /** Paused after a refusal. */
  | 'paused'
  /** Its series had ended, and its last sample was refused: these bytes are lost to the receiver. */
  | 'given_up'
  /** In a refused request that was not searched to the end. */
  | 'unsearched'
  /** The receiver takes nothing: credentials, address, or 400 to everything. */
  | 'rejected';

/** What became of a request with deltas of which an answer was lost. */
export type AmbiguousFate =
  /** Accepted when it was sent again. */
  | 'repeated'
  /** Refused when it was sent again: its bytes go with a later request. */
  | 'refused'
  /** The exporter stopped first: the collectors send its bytes again. */
  | 'stopped';

/** What `createSinkMetrics` asks a delivery when the metrics are read. Seconds; 0 where all is delivered. */
export interface SinkState {
  readonly behindSeconds: number;
  readonly sinceAcceptedSeconds: number;
  readonly away: boolean;
  readonly series: number;
  readonly folded: number;
}

/** Counters of all sinks, by the sink's name. */
export interface SinkMetrics {
  exported(sink: string, samples: number): void;
  dropped(sink: string, reason: DropReason, samples: number): void;
  ambiguous(sink: string, fate: AmbiguousFate, samples: number): void;
  /** `status`: the HTTP status, or a word such as `timeout`. */
  request(sink: string, outcome: 'ok' | 'retryable' | 'rejected', status: string, bytes: number, seconds: number): void;
  retry(sink: string): void;
  superseded(sink: string): void;
  wentAway(sink: string): void;
  /** Read whenever the metrics are. */
  watch(sink: string, state: () => SinkState): void;
}

/** Registers the metrics of the sinks. */
export function createSinkMetrics(registry: Registry): SinkMetrics {
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Counter({ name, help, labelNames: [...labelNames], registers });
  const exported = counter('egressd_exported_events_total', 'Samples that a sink has accepted.', ['sink']);
  const dropped = counter(
    'egressd_dropped_events_total',
    'Samples that were not delivered with their frame. Their bytes stay in the totals and go with a later frame, except for ' +
      'reason given_up. refused, paused, unsearched: see the log for what the receiver says. rejected: check the URL and credentials.',
    ['sink', 'reason'],
  );
  const ambiguous = counter(
    'egressd_exporter_sink_ambiguous_samples_total',
    'Samples of deltas in requests of which an answer was lost (time-out, broken connection, 5xx), by what became of them. A receiver ' +
      'that knows Idempotency-Key, or drops a second sample of the same time, counts them once; another may have counted them twice.',
    ['sink', 'fate'],
  );
  const requests = counter(
    'egressd_exporter_sink_requests_total',
    'Requests to a sink by what came of them: ok, retryable (sent again) or rejected, and HTTP status or kind of failure.',
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
  const aways = counter(
    'egressd_exporter_sink_outages_total',
    'Times that a sink was away too long, so that batches are committed without it: check the sink.',
    ['sink'],
  );
  const watched = watchStates(registry);
  return {
    exported: (sink, samples) => exported.inc({ sink }, samples),
    dropped: (sink, reason, samples) => dropped.inc({ sink, reason }, samples),
    ambiguous: (sink, fate, samples) => ambiguous.inc({ sink, fate }, samples),
    request(sink, outcome, status, length, took) {
      requests.inc({ sink, outcome, status });
      bytes.inc({ sink }, length);
      seconds.inc({ sink }, took);
    },
    retry: (sink) => retries.inc({ sink }),
    superseded: (sink) => superseded.inc({ sink }),
    wentAway: (sink) => aways.inc({ sink }),
    watch(sink, state) {
      // Known from the start, so that a rate over them works from the first event.
      exported.inc({ sink }, 0);
      retries.inc({ sink }, 0);
      aways.inc({ sink }, 0);
      watched.set(sink, state);
    },
  };
}

/** Gauges that are filled when they are read. */
function watchStates(registry: Registry): Map<string, () => SinkState> {
  const states = new Map<string, () => SinkState>();
  const gauge = (name: string, help: string, read: (state: SinkState) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['sink'],
      registers: [registry],
      collect() {
        for (const [sink, state] of states) this.set({ sink }, read(state()));
      },
    });
  gauge(
    'egressd_exporter_sink_pending_age_seconds',
    'Age of the oldest snapshot that a sink has not accepted; 0 where all are. Growing: the sink is down or too slow.',
    (state) => state.behindSeconds,
  );
  gauge(
    'egressd_exporter_sink_last_accepted_age_seconds',
    'Time since a sink accepted a whole snapshot, or since the start.',
    (state) => state.sinceAcceptedSeconds,
  );
  gauge(
    'egressd_exporter_sink_unavailable',
    '1 while a sink is away too long and batches are committed without it.',
    (state) => (state.away ? 1 : 0),
  );
  gauge('egressd_exporter_sink_series', 'Series at the receiver of a sink.', (state) => state.series);
  gauge(
    'egressd_exporter_sink_folded_series',
    'Live series without room at a sink, folded into ~other: raise maxSeries of the sink if they matter.',
    (state) => state.folded,
  );
  return states;
}
