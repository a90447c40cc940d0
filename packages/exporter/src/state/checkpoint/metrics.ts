import { Counter, Gauge, type Registry } from 'prom-client';
import { READ_OUTCOMES, type StateFileOutcome } from '../file-outcome.ts';

/** Metrics of the checkpoint. */
export interface CheckpointMetrics {
  countRead(outcome: StateFileOutcome): void;
  setRestored(series: number): void;
  countWritten(nowMs: number, bytes: number, seconds: number): void;
  countFailed(): void;
  setDegraded(degraded: boolean): void;
}

/** Registers them. */
export function createCheckpointMetrics(registry: Registry): CheckpointMetrics {
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  const reads = new Counter({
    name: 'egressd_exporter_checkpoint_reads_total',
    help: 'Reads of the checkpoint at the start, by outcome. restored; none: a first start; damaged, version, foreign: the file was put aside (checkpoint.bad) and totals start at zero, what was committed and not delivered is lost; unreadable: the same, see the permissions of -state-dir.',
    labelNames: ['outcome'],
    registers,
  });
  const writes = new Counter({
    name: 'egressd_exporter_checkpoint_writes_total',
    help: 'Writes of the checkpoint, by outcome. failed: the disk of -state-dir is full, or may not be written; see the log. While writes fail nothing is sent or committed, for a minute at most.',
    labelNames: ['outcome'],
    registers,
  });
  for (const outcome of READ_OUTCOMES) reads.inc({ outcome }, 0);
  for (const outcome of ['written', 'failed']) writes.inc({ outcome }, 0);
  const restored = gauge(
    'egressd_exporter_checkpoint_series_restored',
    'Series restored from the checkpoint at the start.',
  );
  const size = gauge('egressd_exporter_checkpoint_bytes', 'Size of the last checkpoint.');
  const duration = gauge(
    'egressd_exporter_checkpoint_last_write_duration_seconds',
    'How long the last checkpoint took to write, with the flush to the disk.',
  );
  const writtenAt = gauge(
    'egressd_exporter_checkpoint_written_timestamp_seconds',
    'When the last checkpoint was written, Unix time. One is written every exportInterval at least; much older: see egressd_exporter_checkpoint_writes_total.',
  );
  const degraded = gauge(
    'egressd_exporter_checkpoint_degraded',
    '1 while the state directory cannot be written and the exporter continues as one without: a restart now starts at zero. Make room on the disk, or see its permissions: the exporter recovers by itself.',
  );
  return {
    countRead: (outcome) => reads.inc({ outcome }),
    setRestored: (series) => restored.set(series),
    countWritten(nowMs, bytes, seconds) {
      writes.inc({ outcome: 'written' });
      size.set(bytes);
      duration.set(seconds);
      writtenAt.set(nowMs / 1000);
    },
    countFailed: () => writes.inc({ outcome: 'failed' }),
    setDegraded: (now) => degraded.set(now ? 1 : 0),
  };
}
