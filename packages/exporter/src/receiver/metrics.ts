import { Counter, Gauge, type Registry } from 'prom-client';
import type { StreamLimit } from './stream-limit.ts';

/** Why a stream ended: the `reason` of `egressd_exporter_receiver_streams_ended_total`. */
export type StreamEnd =
  /** The collector ended it in order. */
  | 'closed'
  /** The connection broke, or the collector gave up. */
  | 'broken'
  /** A newer stream of the same node took its place. */
  | 'superseded'
  /** No Hello in time. */
  | 'no_hello'
  /** Not what `stream.proto` says. */
  | 'invalid'
  /** No common protocol. */
  | 'protocol'
  /** This exporter does not know the cluster yet. */
  | 'not_ready'
  /** The collector is not authorized for the node it names. */
  | 'refused'
  /** A named limit of the receiver. */
  | 'limit'
  /** This exporter stops. */
  | 'shutdown'
  /** The handler of batches threw. */
  | 'bug';

/** Why a batch, or what was there of it, was dropped. Only `malformed` loses bytes. */
export type BatchDrop =
  /** It was applied before. */
  | 'duplicate'
  /** Answered with a Rejection. */
  | 'malformed'
  /** Its stream ended before its last part: it comes again. */
  | 'partial';

/** Why a message was left aside. None has anything to do with bytes of traffic. */
export type IgnoredMessage =
  /** Of a kind that only newer collectors know. */
  | 'unknown'
  /** A NodeHealth with values that cannot be. */
  | 'malformed_health';

/** Why a message was refused before it was read, and its stream ended. */
export type RefusedMessage =
  /** Collectors do not compress. */
  | 'compressed'
  /** The first one of a stream, longer than a Hello may be. */
  | 'first_too_long'
  /** Unfinished, where such messages had no room any more: it began before all others. */
  | 'no_room';

/** Why a TLS handshake failed. */
export type HandshakeFailure =
  /** The other side has no certificate. */
  | 'no_certificate'
  /** Its certificate is not valid now, or no trusted authority signed it. */
  | 'certificate'
  /** It does not use TLS, or an old one, or not HTTP/2. */
  | 'protocol'
  /** The other side ended it: a probe of the port, or it does not trust our certificate. */
  | 'broken';

/** Self metrics of the receiver. */
export interface ReceiverMetrics {
  readonly received: Counter;
  readonly receivedBytes: Counter;
  readonly missing: Counter;
  readonly numberJumps: Counter;
  readonly dropped: Counter<'reason'>;
  readonly ignored: Counter<'reason'>;
  readonly refusedMessages: Counter<'reason'>;
  readonly ended: Counter<'reason'>;
  readonly handshakes: Counter<'reason'>;
  readonly refused: Counter<'reason'>;
  readonly clock: Counter<'clock'>;
}

/**
 * Registers them.
 * @param streams how many streams have said Hello and are open
 * @param limit of streams
 * @param connections how many connections are open
 */
export function createReceiverMetrics(
  registry: Registry,
  streams: () => number,
  limit: StreamLimit,
  nodes: () => number,
  connections: () => number,
): ReceiverMetrics {
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Counter({ name, help, labelNames, registers });
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  gauge(
    'egressd_exporter_receiver_streams',
    'Collectors whose stream is open. Fewer than nodes: see their logs.',
    streams,
  );
  new Gauge({
    name: 'egressd_exporter_receiver_streams_limit',
    help: 'Streams that there may be at a time, by what bounds them: memory, or open_files, of which each stream may need one (ulimit -n). More collectors are refused: give the exporter more of it.',
    labelNames: ['by'],
    registers,
  }).set({ by: limit.by }, limit.streams);
  gauge(
    'egressd_exporter_receiver_connections',
    'Connections to the stream port, with and without a stream.',
    connections,
  );
  gauge('egressd_exporter_receiver_nodes', 'Nodes whose batch offsets (applied, committed) are kept.', nodes);
  return {
    received: counter('egressd_exporter_receiver_batches_total', 'Batches received and applied.'),
    receivedBytes: counter(
      'egressd_exporter_receiver_message_bytes_total',
      'Encoded bytes of all messages from collectors.',
    ),
    missing: counter(
      'egressd_exporter_receiver_batches_missing_total',
      'Batches that were numbered by a collector and never came. Their bytes are lost. Report it.',
    ),
    numberJumps: counter(
      'egressd_exporter_receiver_batch_number_jumps_total',
      'Batches whose number is more than 1,000,000 beyond the one before: a collector that is damaged or forged. What is between them is not counted as missing. Report it.',
    ),
    dropped: counter(
      'egressd_exporter_receiver_batches_dropped_total',
      'Batches dropped: duplicate (applied before) and partial (comes again) lose nothing; malformed loses its bytes: the log has the reason.',
      'reason',
    ),
    ignored: counter(
      'egressd_exporter_receiver_messages_ignored_total',
      'Messages ignored, by reason. unknown: the collector is newer than this exporter; malformed_health: a NodeHealth with values that cannot be, report it. No bytes of traffic are lost.',
      'reason',
    ),
    refusedMessages: counter(
      'egressd_exporter_receiver_messages_refused_total',
      'Messages refused before they were read, by reason; their streams ended. compressed, first_too_long: nothing that a collector sends; no_room: too many messages had begun and not ended, and this one began first. No bytes of traffic are lost.',
      'reason',
    ),
    ended: counter(
      'egressd_exporter_receiver_streams_ended_total',
      'Streams that ended or were refused, by reason. closed, broken and superseded are normal while pods come and go.',
      'reason',
    ),
    handshakes: counter(
      'egressd_exporter_receiver_handshakes_failed_total',
      'TLS handshakes that failed, by reason. no_certificate, certificate: a collector has none, or one that is not valid or that tls-ca-file does not know; protocol: it does not use TLS; broken: probes of the port, or a collector that does not trust our certificate. The log of the collector says more.',
      'reason',
    ),
    refused: counter(
      'egressd_exporter_receiver_connections_refused_total',
      'Connections to the stream port that were closed without an accepted stream, by reason. limit, address_limit: too many at a time, in all or from one address; idle: no handshake or Hello in time. Where it rises, find out who connects to the port, and limit who may (exporter.networkPolicy).',
      'reason',
    ),
    clock: counter(
      'egressd_exporter_receiver_batch_clock_skew_total',
      'Batches whose times show that the clock of the node is ahead or behind: set it right (NTP). They are applied.',
      'clock',
    ),
  };
}
