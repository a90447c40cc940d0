import type { Log } from '@egressd/daemon/log';
import type { ConntrackSource } from '../conntrack/source.ts';

/** How often the node's addresses are read: they are reported with the next read of connections. */
const INTERVAL_MS = 5_000;

/** The node's addresses, read now and every few seconds. */
export async function followNodeAddresses(
  source: ConntrackSource,
  log: Log,
): Promise<{ now: () => readonly Uint8Array[]; stop: () => void }> {
  let addresses: readonly Uint8Array[] = [];
  const read = async () => {
    try {
      addresses = await source.nodeAddresses();
    } catch (error) {
      log.warn('cannot read node addresses, the exporter uses those of Kubernetes', { error: String(error) });
    }
  };
  await read();
  const timer = setInterval(read, INTERVAL_MS).unref();
  return { now: () => addresses, stop: () => clearInterval(timer) };
}
