import { Counter, Gauge, type Registry } from 'prom-client';

/** Why a stream ended: the `reason` of `egressd_exporter_receiver_streams_ended_total`. */
export type StreamEnd =
  /** The collector said that nothing more will come. */
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
  /** The node is not one that this collector can speak for. */
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
  /** The collector was told that it is rejected. */
  | 'malformed'
  /** Its stream ended before its last part: it comes again. */
  | 'partial';

/** Why a message was left aside. None has anything to do with bytes of traffic. */
export type IgnoredMessage =
  /** Of a kind that only newer collectors know. */
  | 'unknown'
  /** A Health that says what cannot be. */
  | 'malformed_health';

/** Why a TLS handshake failed. */
export type HandshakeFailure =
  /** The other side has no certificate. */
  | 'no_certificate'
  /** Its certificate is not valid now, or nobody whom we trust signed it. */
  | 'certificate'
  /** It speaks no TLS, or an old one, or not HTTP/2. */
  | 'protocol'
  /** The other side ended it: it only looked whether the port is open, or it does not take our certificate. */
  | 'broken';

/** Self metrics of the receiver. */
export interface ReceiverMetrics {
  readonly received: Counter;
  readonly receivedBytes: Counter;
  readonly missing: Counter;
  readonly dropped: Counter<'reason'>;
  readonly ignored: Counter<'reason'>;
  readonly ended: Counter<'reason'>;
  readonly handshakes: Counter<'reason'>;
  readonly clock: Counter<'clock'>;
}

/**
 * Registers them.
 * @param streams how many streams have said Hello and are open
 */
export function createReceiverMetrics(registry: Registry, streams: () => number, nodes: () => number): ReceiverMetrics {
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
  gauge('egressd_exporter_receiver_nodes', 'Nodes whose batch numbers are remembered.', nodes);
  return {
    received: counter('egressd_exporter_receiver_batches_total', 'Batches taken.'),
    receivedBytes: counter(
      'egressd_exporter_receiver_message_bytes_total',
      'Encoded bytes of all messages from collectors.',
    ),
    missing: counter(
      'egressd_exporter_receiver_batches_missing_total',
      'Batches that were numbered by a collector and never came. Their bytes are lost. Report it.',
    ),
    dropped: counter(
      'egressd_exporter_receiver_batches_dropped_total',
      'Batches dropped: duplicate (applied before) and partial (comes again) lose nothing; malformed loses its bytes: the log has the reason.',
      'reason',
    ),
    ignored: counter(
      'egressd_exporter_receiver_messages_ignored_total',
      'Messages left aside, by reason. unknown: the collector is newer than this exporter; malformed_health: what a collector says of its kernel cannot be, report it. No bytes of traffic are lost.',
      'reason',
    ),
    ended: counter(
      'egressd_exporter_receiver_streams_ended_total',
      'Streams that ended or were refused, by reason. closed, broken and superseded are normal while pods come and go.',
      'reason',
    ),
    handshakes: counter(
      'egressd_exporter_receiver_handshakes_failed_total',
      'TLS handshakes that failed, by reason. no_certificate, certificate: a collector has none, or one that is not valid or that tls-ca-file does not know; protocol: it speaks no TLS; broken: checks of the port, or a collector that does not take our certificate. The log of the collector says more.',
      'reason',
    ),
    clock: counter(
      'egressd_exporter_receiver_batch_clock_skew_total',
      'Batches whose times show that the clock of the node is ahead or behind: set it right (NTP). They are taken.',
      'clock',
    ),
  };
}
