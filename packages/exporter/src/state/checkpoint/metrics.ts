import { Counter, Gauge, type Registry } from 'prom-client';
import { REFUSALS, type Refusal } from './format.ts';

/** How it went to read the checkpoint at the start. */
export type ReadOutcome = 'restored' | 'none' | 'unreadable' | Refusal;
const READ_OUTCOMES: readonly ReadOutcome[] = ['restored', 'none', 'unreadable', ...REFUSALS];

/** What is counted about checkpoints. */
export interface CheckpointMetrics {
  read(outcome: ReadOutcome): void;
  restored(series: number): void;
  written(nowMs: number, bytes: number, seconds: number): void;
  failed(): void;
  givenUp(now: boolean): void;
}

/** Creates them. */
export function createCheckpointMetrics(registry: Registry): CheckpointMetrics {
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  const reads = new Counter({
    name: 'egressd_exporter_checkpoint_reads_total',
    help: 'Reads of the checkpoint at the start, by outcome: restored; none: a first start; damaged, version, foreign: it was put aside and totals begin at zero, so what was committed and not delivered is lost; unreadable: the same, see the permissions of -state-dir.',
    labelNames: ['outcome'],
    registers,
  });
  const writes = new Counter({
    name: 'egressd_exporter_checkpoint_writes_total',
    help: 'Writes of the checkpoint by outcome: written, or failed (the log says why: is the disk of -state-dir full, or may it not be written?). While they fail nothing is sent nor committed, for a minute at most.',
    labelNames: ['outcome'],
    registers,
  });
  for (const outcome of READ_OUTCOMES) reads.inc({ outcome }, 0);
  for (const outcome of ['written', 'failed']) writes.inc({ outcome }, 0);
  const series = gauge(
    'egressd_exporter_checkpoint_series_restored',
    'Series whose totals went on from the checkpoint at the start.',
  );
  const bytes = gauge('egressd_exporter_checkpoint_bytes', 'Size of the last checkpoint.');
  const seconds = gauge(
    'egressd_exporter_checkpoint_last_write_duration_seconds',
    'How long the last checkpoint took until it was on the disk.',
  );
  const writtenAt = gauge(
    'egressd_exporter_checkpoint_written_timestamp_seconds',
    'When the last checkpoint was written, Unix time. It is every exportInterval at least; much older: see egressd_exporter_checkpoint_writes_total.',
  );
  const givenUp = gauge(
    'egressd_exporter_checkpoint_degraded',
    '1 while the state directory is given up because it cannot be written: the exporter goes on as without one, until a checkpoint can be written again. Make room on the disk, or see its permissions.',
  );
  return {
    read: (outcome) => reads.inc({ outcome }),
    restored: (count) => series.set(count),
    written(nowMs, length, took) {
      writes.inc({ outcome: 'written' });
      bytes.set(length);
      seconds.set(took);
      writtenAt.set(nowMs / 1000);
    },
    failed: () => writes.inc({ outcome: 'failed' }),
    givenUp: (now) => givenUp.set(now ? 1 : 0),
  };
}
