import { Counter, Gauge, type Registry } from 'prom-client';
import type { LoadedNetworks } from './load.ts';

/** Registers the metrics of networks. @returns what counts a read */
export function createNetworkMetrics(
  registry: Registry,
  current: () => Pick<LoadedNetworks, 'ranges' | 'cloudRangesMadeMs'>,
) {
  const registers = [registry];
  const reads = new Counter({
    name: 'egressd_exporter_networks_reads_total',
    help: 'Reads of networks, networkFiles and cloudRanges, by outcome. applied; failed: a file cannot be used and the previous version stays in use, the log has its mistakes.',
    labelNames: ['outcome'],
    registers,
  });
  for (const outcome of ['applied', 'failed']) reads.inc({ outcome }, 0);
  new Gauge({
    name: 'egressd_exporter_networks_ranges',
    help: 'Ranges of networks and clouds in use.',
    registers,
    collect() {
      this.set(current().ranges);
    },
  });
  new Gauge({
    name: 'egressd_exporter_cloud_ranges_made_timestamp_seconds',
    help: 'When the file of cloudRanges was made, Unix time; 0: there is none. Providers change their ranges every week: make it again now and then.',
    registers,
    collect() {
      this.set((current().cloudRangesMadeMs ?? 0) / 1000);
    },
  });
  return (outcome: 'applied' | 'failed') => reads.inc({ outcome });
}
