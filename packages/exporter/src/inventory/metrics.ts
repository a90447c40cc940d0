import { Counter, Gauge, type Registry } from 'prom-client';

/** Metrics of the inventory file. */
export interface InventoryMetrics {
  countApplied(nowMs: number): void;
  countFailed(): void;
}

/** Registers them. */
export function createInventoryMetrics(registry: Registry): InventoryMetrics {
  const registers = [registry];
  const reads = new Counter({
    name: 'egressd_exporter_inventory_reads_total',
    help: 'Reads of a new version of the inventory file, by outcome. applied; failed: it cannot be used, the log has its mistakes.',
    labelNames: ['outcome'],
    registers,
  });
  const stale = new Gauge({
    name: 'egressd_exporter_inventory_stale',
    help: '1 while the inventory file cannot be used and its previous version stays in use: correct the file, the log has its mistakes.',
    registers,
  });
  const appliedAt = new Gauge({
    name: 'egressd_exporter_inventory_applied_timestamp_seconds',
    help: 'When the inventory in use was read, Unix time.',
    registers,
  });
  for (const outcome of ['applied', 'failed']) reads.inc({ outcome }, 0);
  return {
    countApplied(nowMs) {
      reads.inc({ outcome: 'applied' });
      stale.set(0);
      appliedAt.set(nowMs / 1000);
    },
    countFailed() {
      reads.inc({ outcome: 'failed' });
      stale.set(1);
    },
  };
}
