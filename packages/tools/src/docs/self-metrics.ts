import { createBlindSpotMetrics, createSourceMetrics } from '@egressd/collector/conntrack/metrics';
import { createCollectorMetrics } from '@egressd/collector/metrics';
import { createCollectorStateMetrics } from '@egressd/collector/state/metrics';
import { createCollectorStreamMetrics } from '@egressd/collector/stream/metrics';
import { Outbox } from '@egressd/collector/stream/outbox';
import { createHttpRefusals } from '@egressd/daemon/http-refusals';
import { SILENT } from '@egressd/daemon/log';
import { clientTls, serverTls } from '@egressd/daemon/tls';
import { Aggregate } from '@egressd/exporter/aggregate/aggregate';
import { clockReport } from '@egressd/exporter/clock/report';
import { createInventoryMetrics } from '@egressd/exporter/inventory/metrics';
import { createKubeMetrics } from '@egressd/exporter/kube/metrics';
import { createExporterMetrics } from '@egressd/exporter/metrics';
import { createNetworkMetrics } from '@egressd/exporter/networks/metrics';
import { createNodeProblemMetrics } from '@egressd/exporter/node-problems/watch';
import { OwnerRegistry } from '@egressd/exporter/owners/registry';
import { PendingBatches } from '@egressd/exporter/pending/pending-batches';
import { createReceiverMetrics } from '@egressd/exporter/receiver/metrics';
import { createSinkMetrics } from '@egressd/exporter/sinks/delivery/metrics';
import { createCheckpointMetrics } from '@egressd/exporter/state/checkpoint/metrics';
import { createIpHistoryMetrics } from '@egressd/exporter/state/ip-history/metrics';
import { TrafficExposition } from '@egressd/exporter/web/traffic-exposition';
import { Registry } from 'prom-client';

const NO_TLS = { certFile: '', keyFile: '', caFile: '', insecure: false };
const LOOPBACK = '127.0.0.1:6062';

/** The tables of the daemons' own metrics: what the code registers, with its help texts. */
export async function selfMetrics(): Promise<Readonly<Record<'collector metrics' | 'exporter metrics', string>>> {
  return { 'collector metrics': await table(collectorRegistry()), 'exporter metrics': await table(exporterRegistry()) };
}

/** All self metrics of a collector. */
export function collectorRegistry(): Registry {
  const registry = new Registry();
  createCollectorMetrics(registry, {
    sysctls: () => ({ accounting: undefined, timestamps: undefined, events: undefined }),
  });
  createSourceMetrics(registry, { name: 'netfilter', unusable: [] });
  createBlindSpotMetrics(registry);
  createCollectorStreamMetrics(registry, new Outbox(), () => false);
  createCollectorStateMetrics(registry);
  createHttpRefusals(registry, 'collector');
  clientTls(NO_TLS, LOOPBACK, SILENT, registry);
  return registry;
}

/** All self metrics of the exporter. */
export function exporterRegistry(): Registry {
  const registry = new Registry();
  const owners = new OwnerRegistry([]);
  createReceiverMetrics(
    registry,
    () => 0,
    { streams: 0, by: 'memory' },
    () => 0,
    () => 0,
  );
  createExporterMetrics(registry, new Aggregate(), owners, new PendingBatches(owners));
  createSinkMetrics(registry);
  createInventoryMetrics(registry);
  createNetworkMetrics(registry, () => ({ ranges: 0, cloudRangesMadeMs: undefined }));
  clockReport(SILENT, registry);
  createKubeMetrics(registry, []);
  createNodeProblemMetrics(registry, () => new Map());
  createCheckpointMetrics(registry);
  createIpHistoryMetrics(registry);
  createHttpRefusals(registry, 'exporter');
  serverTls(NO_TLS, SILENT, registry).stop();
  new TrafficExposition({ registry });
  return registry;
}

async function table(registry: Registry): Promise<string> {
  const metrics = await registry.getMetricsAsJSON();
  const rows = metrics.map(({ name, help }) => `| \`${name}\` | ${help.replaceAll('|', '\\|')} |\n`);
  return `| metric | meaning, and what to do |\n| --- | --- |\n${rows.join('')}`;
}
