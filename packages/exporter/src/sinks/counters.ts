import type { Counter } from '../aggregate/snapshot.ts';

/** Names of the metrics, the same in every database. */
export const METRIC_NAMES: Readonly<Record<Counter, string>> = {
  txBytes: 'egressd_transmit_bytes_total',
  txPackets: 'egressd_transmit_packets_total',
  rxBytes: 'egressd_received_bytes_total',
  rxPackets: 'egressd_received_packets_total',
};

/** Which metrics a sink of samples sends. */
export interface CounterSettings {
  /** Also `egressd_received_bytes_total`. */
  readonly sendReceivedBytesMetric: boolean;
  /** Also `egressd_transmit_packets_total` and, with `sendReceivedBytesMetric`, `egressd_received_packets_total`. */
  readonly sendPacketsMetric: boolean;
}

/** The counters that are sent, in the order of a frame. */
export function countersOf({
  sendReceivedBytesMetric: received,
  sendPacketsMetric: packets,
}: CounterSettings): Counter[] {
  return [
    'txBytes' as const,
    ...(packets ? (['txPackets'] as const) : []),
    ...(received ? (['rxBytes'] as const) : []),
    ...(received && packets ? (['rxPackets'] as const) : []),
  ];
}
