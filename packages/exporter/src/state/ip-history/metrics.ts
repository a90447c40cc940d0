import { Counter, Gauge, type Registry } from 'prom-client';
import { READ_OUTCOMES, type StateFileOutcome } from '../file-outcome.ts';

/** Metrics of the IP history's file. */
export interface IpHistoryMetrics {
  countRead(outcome: StateFileOutcome): void;
  /** @param omitted spans that did not fit */
  countWritten(nowMs: number, omitted: number): void;
  countFailed(): void;
}

/** Registers them. */
export function createIpHistoryMetrics(registry: Registry): IpHistoryMetrics {
  const registers = [registry];
  const reads = new Counter({
    name: 'egressd_exporter_ip_history_reads_total',
    help: 'Reads of the IP history at the start, by outcome. restored; none: a first start; damaged, version, foreign: the file was put aside (ip-history.bad), traffic from before the start of pods that are gone has an unknown owner; unreadable: the same, see the permissions of -state-dir.',
    labelNames: ['outcome'],
    registers,
  });
  const writes = new Counter({
    name: 'egressd_exporter_ip_history_writes_total',
    help: 'Writes of the IP history, by outcome. failed: the disk of -state-dir is full, or may not be written; see the log.',
    labelNames: ['outcome'],
    registers,
  });
  const omitted = new Counter({
    name: 'egressd_exporter_ip_history_spans_omitted_total',
    help: 'Ended spans omitted from the IP history because it holds 200,000; counted at every write.',
    registers,
  });
  const writtenAt = new Gauge({
    name: 'egressd_exporter_ip_history_written_timestamp_seconds',
    help: 'When the IP history was last written, Unix time. It is written every minute.',
    registers,
  });
  for (const outcome of READ_OUTCOMES) reads.inc({ outcome }, 0);
  for (const outcome of ['written', 'failed']) writes.inc({ outcome }, 0);
  return {
    countRead: (outcome) => reads.inc({ outcome }),
    countWritten(nowMs, spans) {
      writes.inc({ outcome: 'written' });
      omitted.inc(spans);
      writtenAt.set(nowMs / 1000);
    },
    countFailed: () => writes.inc({ outcome: 'failed' }),
  };
}
