import { Counter, Gauge, type Registry } from 'prom-client';
import { STATE_REFUSALS, type StateRefusal } from './bytes.ts';

/** How reading the connections of the process before ended. */
export type StateReadOutcome =
  | 'restored'
  | 'none'
  | 'other_boot'
  | 'other_source'
  | 'other_node'
  | StateRefusal
  | 'unreadable'
  | 'locked';
const OUTCOMES: readonly StateReadOutcome[] = [
  'restored',
  'none',
  'other_boot',
  'other_source',
  'other_node',
  ...STATE_REFUSALS,
  'unreadable',
  'locked',
];

/** Why a batch in the state directory is not sent. */
export type BatchDropReason = StateRefusal | 'other_node' | 'other_epoch' | 'ahead';

/** Metrics of the collector's state directory. */
export interface CollectorStateMetrics {
  countRead(outcome: StateReadOutcome): void;
  countDropped(reason: BatchDropReason, batches?: number): void;
  /** A hand-over begins to be written. */
  startWrite(): void;
  /** It is written, or the state is degraded. */
  endWrite(): void;
  countWritten(bytes: number): void;
  countFailed(): void;
  /** @param bytes in the directory now */
  setSize(bytes: number): void;
  setDegraded(degraded: boolean): void;
}

/** Registers them. */
export function createCollectorStateMetrics(registry: Registry): CollectorStateMetrics {
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Counter({ name, help, labelNames, registers });
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  const reads = counter(
    'egressd_collector_state_reads_total',
    'Reads of -state-dir at the start, by outcome. restored: connections continue where they were; none: a first start; other_boot, other_source: another conntrack table is counted, as meant. The rest starts from a baseline as a first start does: damaged, version, foreign, other_node: the file is put aside (.bad); unreadable: see the permissions; locked: another collector uses the directory, end it.',
    'outcome',
  );
  const dropped = counter(
    'egressd_collector_state_batches_dropped_total',
    'Batches of -state-dir that are not sent, by reason. damaged, version, foreign: put aside (batch.bad), their bytes are lost; other_node: a copied disk; other_epoch: left over; ahead: the exporter had more of this collector than its state knew, the directory was copied or rolled back.',
    'reason',
  );
  const writes = counter(
    'egressd_collector_state_writes_total',
    'Hand-overs written to -state-dir, by outcome. failed: the disk is full, or may not be written; see the log. Batches wait half a minute for the disk, then they are sent without.',
    'outcome',
  );
  const bytes = counter('egressd_collector_state_written_bytes_total', 'Bytes written to -state-dir.');
  let begun: number | undefined;
  const seconds = new Gauge({
    name: 'egressd_collector_state_last_write_duration_seconds',
    help: 'How long the hand-over that is being written to -state-dir has taken so far, or else the last one took. Reading does not wait for it, sending does: a high value means a slow disk.',
    registers,
    collect() {
      if (begun !== undefined) this.set((performance.now() - begun) / 1000);
    },
  });
  const size = gauge(
    'egressd_collector_state_bytes',
    'Bytes in -state-dir: connections, and batches that are not committed.',
  );
  const degraded = gauge(
    'egressd_collector_state_degraded',
    '1 while the disk of -state-dir fails and nothing is saved: a restart now starts from a baseline. Make room, or repair the disk: the collector recovers by itself.',
  );
  for (const outcome of OUTCOMES) reads.inc({ outcome }, 0);
  for (const outcome of ['written', 'failed']) writes.inc({ outcome }, 0);
  return {
    countRead: (outcome) => reads.inc({ outcome }),
    countDropped: (reason, batches = 1) => dropped.inc({ reason }, batches),
    startWrite() {
      begun = performance.now();
    },
    endWrite() {
      if (begun !== undefined) seconds.set((performance.now() - begun) / 1000);
      begun = undefined;
    },
    countWritten(length) {
      writes.inc({ outcome: 'written' });
      bytes.inc(length);
    },
    countFailed: () => writes.inc({ outcome: 'failed' }),
    setSize: (now) => size.set(now),
    setDegraded: (now) => degraded.set(now ? 1 : 0),
  };
}
