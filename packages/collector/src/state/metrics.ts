import { Counter, Gauge, type Registry } from 'prom-client';
import { REFUSALS, type Refusal } from './bytes.ts';

/** How the connections of the process before were found. */
export type ReadOutcome =
  | 'restored'
  | 'none'
  | 'other_boot'
  | 'other_source'
  | 'other_node'
  | Refusal
  | 'unreadable'
  | 'locked';
const OUTCOMES: readonly ReadOutcome[] = [
  'restored',
  'none',
  'other_boot',
  'other_source',
  'other_node',
  ...REFUSALS,
  'unreadable',
  'locked',
];

/** Why a batch in the state directory is not sent. */
export type DropReason = Refusal | 'other_node' | 'other_epoch' | 'ahead';

/** What is counted about the state directory. */
export interface StateMetrics {
  read(outcome: ReadOutcome): void;
  dropped(reason: DropReason, batches?: number): void;
  /** A hand-over begins to be written. */
  begun(): void;
  /** It is written, or the disk was given up. */
  ended(): void;
  written(bytes: number): void;
  failed(): void;
  /** @param bytes in the directory now */
  size(bytes: number): void;
  givenUp(now: boolean): void;
}

/** Creates them. */
export function createStateMetrics(registry: Registry): StateMetrics {
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Counter({ name, help, labelNames, registers });
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  const reads = counter(
    'egressd_collector_state_reads_total',
    'Reads of -state-dir at the start, by outcome. restored: connections go on where they were; none: a first start; other_boot, other_source: what is counted is another table, as meant. The rest begins as a first start does: damaged, version, foreign, other_node: the file is put aside (.bad); unreadable: see the permissions; locked: another collector uses the directory, end it.',
    'outcome',
  );
  const dropped = counter(
    'egressd_collector_state_batches_dropped_total',
    'Batches of -state-dir that are not sent, by reason. damaged, version, foreign: put aside (batch.bad), their bytes are lost; other_node: a copied disk; other_epoch: left over; ahead: the exporter had more of this collector than its state knew, the directory was copied or rolled back.',
    'reason',
  );
  const writes = counter(
    'egressd_collector_state_writes_total',
    'Hand-overs written to -state-dir, by outcome. failed: is the disk full, or may it not be written? The log says it. Batches wait half a minute for the disk, then they go out without.',
    'outcome',
  );
  const bytes = counter('egressd_collector_state_written_bytes_total', 'Bytes written to -state-dir.');
  let begun: number | undefined;
  const seconds = new Gauge({
    name: 'egressd_collector_state_last_write_duration_seconds',
    help: 'How long the hand-over that is being written to -state-dir has taken so far, or else the last one took. Reading does not wait for it, sending does: is the disk too slow?',
    registers,
    collect() {
      if (begun !== undefined) this.set((performance.now() - begun) / 1000);
    },
  });
  const size = gauge(
    'egressd_collector_state_bytes',
    'Bytes in -state-dir: connections, and batches that are not committed.',
  );
  const givenUp = gauge(
    'egressd_collector_state_degraded',
    '1 while the disk of -state-dir fails and nothing is kept: a restart now begins as a first start does. Make room, or look after the disk: it mends by itself.',
  );
  for (const outcome of OUTCOMES) reads.inc({ outcome }, 0);
  for (const outcome of ['written', 'failed']) writes.inc({ outcome }, 0);
  return {
    read: (outcome) => reads.inc({ outcome }),
    dropped: (reason, batches = 1) => dropped.inc({ reason }, batches),
    begun() {
      begun = performance.now();
    },
    ended() {
      if (begun !== undefined) seconds.set((performance.now() - begun) / 1000);
      begun = undefined;
    },
    written(length) {
      writes.inc({ outcome: 'written' });
      bytes.inc(length);
    },
    failed: () => writes.inc({ outcome: 'failed' }),
    size: (now) => size.set(now),
    givenUp: (now) => givenUp.set(now ? 1 : 0),
  };
}
