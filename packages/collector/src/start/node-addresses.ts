import { type Log, LogLimiter } from '@egressd/daemon/log';
import { Counter, type Registry } from 'prom-client';
import type { ConntrackSource } from '../conntrack/source.ts';

/** How often the node's addresses are read: they are reported with the next read of connections. */
const INTERVAL_MS = 5_000;

interface NodeAddressesOptions {
  readonly source: Pick<ConntrackSource, 'nodeAddresses'>;
  readonly log: Log;
  readonly registry: Registry;
  readonly intervalMs?: number;
}

/** The node's addresses, read now and every few seconds. Where that fails, the last known ones stay. */
export async function followNodeAddresses(
  options: NodeAddressesOptions,
): Promise<{ now: () => readonly Uint8Array[]; stop: () => void }> {
  const { source, log, registry, intervalMs = INTERVAL_MS } = options;
  const logLimiter = new LogLimiter();
  const failures = new Counter({
    name: 'egressd_collector_node_address_read_failures_total',
    help: "Reads of the node's addresses that failed: the last known ones stay, and the exporter has those of Kubernetes. The log says why.",
    registers: [registry],
  });
  let addresses: readonly Uint8Array[] = [];
  const read = async () => {
    try {
      addresses = await source.nodeAddresses();
    } catch (error) {
      failures.inc();
      logLimiter.limit('addresses', (suppressed) =>
        log.warn('cannot read node addresses, the last known ones stay', { error: String(error), suppressed }),
      );
    }
  };
  await read();
  const timer = setInterval(read, intervalMs).unref();
  return { now: () => addresses, stop: () => clearInterval(timer) };
}
