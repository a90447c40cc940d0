import { Counter, Gauge, type Registry } from 'prom-client';

/** What is counted about the inventory file. */
export interface InventoryMetrics {
  applied(nowMs: number): void;
  refused(): void;
}

/** Creates the inventory's metrics. */
export function inventoryMetrics(registry: Registry): InventoryMetrics {
  const registers = [registry];
  const reads = new Counter({
    name: 'egressd_exporter_inventory_reads_total',
    help: 'Versions of the inventory file by outcome: applied, or refused (the log says what is wrong with it).',
    labelNames: ['outcome'],
    registers,
  });
  const stale = new Gauge({
    name: 'egressd_exporter_inventory_stale',
    help: '1 while the inventory file cannot be used and an older version of it is in use: correct the file, the log says where.',
    registers,
  });
  const time = new Gauge({
    name: 'egressd_exporter_inventory_applied_timestamp_seconds',
    help: 'When the inventory that is in use was read, Unix time.',
    registers,
  });
  for (const outcome of ['applied', 'refused']) reads.inc({ outcome }, 0);
  return {
    applied(nowMs) {
      reads.inc({ outcome: 'applied' });
      stale.set(0);
      time.set(nowMs / 1000);
    },
    refused() {
      reads.inc({ outcome: 'refused' });
      stale.set(1);
    },
  };
}
