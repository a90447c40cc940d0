import { Counter, Gauge, type Registry } from 'prom-client';
import { REFUSALS, type Refusal } from './format.ts';

/** How it went to read the file at the start. */
export type ReadOutcome = 'restored' | 'none' | 'unreadable' | Refusal;

/** What is counted about the address history. */
export interface HistoryMetrics {
  read(outcome: ReadOutcome): void;
  written(nowMs: number, leftOut: number): void;
  failed(): void;
}

/** Creates them. */
export function createHistoryMetrics(registry: Registry): HistoryMetrics {
  const registers = [registry];
  const reads = new Counter({
    name: 'egressd_exporter_ip_history_reads_total',
    help: 'Reads of the address history at the start, by outcome: restored; none: a first start; damaged, version, foreign: it was put aside, and what was moved before the start by pods that are gone is unknown; unreadable: see the permissions of -state-dir.',
    labelNames: ['outcome'],
    registers,
  });
  const writes = new Counter({
    name: 'egressd_exporter_ip_history_writes_total',
    help: 'Writes of the address history by outcome: written, or failed (the log says why: is the disk of -state-dir full, or may it not be written?).',
    labelNames: ['outcome'],
    registers,
  });
  const leftOut = new Counter({
    name: 'egressd_exporter_ip_history_spans_omitted_total',
    help: 'Ended times that were left out of an address history because it holds 200,000; counted at every write.',
    registers,
  });
  const time = new Gauge({
    name: 'egressd_exporter_ip_history_written_timestamp_seconds',
    help: 'When the address history was last written, Unix time. It is every minute.',
    registers,
  });
  for (const outcome of ['restored', 'none', 'unreadable', ...REFUSALS]) reads.inc({ outcome }, 0);
  for (const outcome of ['written', 'failed']) writes.inc({ outcome }, 0);
  return {
    read: (outcome) => reads.inc({ outcome }),
    written(nowMs, left) {
      writes.inc({ outcome: 'written' });
      leftOut.inc(left);
      time.set(nowMs / 1000);
    },
    failed: () => writes.inc({ outcome: 'failed' }),
  };
}
