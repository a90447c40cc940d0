import type { Network } from '@egressd/exporter/networks/network';
import { NetworkIndex, type NetworkRange } from '@egressd/exporter/networks/network-index';
import { seededRandom } from '@egressd/world/traffic/random';
import { nsPerItem } from './numbers.ts';

/** As many as all ranges of the large clouds, of as many regions and services. */
const RANGES = 60_000;
const NETWORKS = 300;
const LOOK_UPS = 100_000;

interface NetworksResult {
  readonly ranges: number;
  /** Nanoseconds a look-up of an IPv4 address. */
  readonly find: number;
  /** Milliseconds to make the index. */
  readonly buildMs: number;
}

/** Looks up random addresses among as many ranges as clouds have. */
export function benchNetworks(seed: number): NetworksResult {
  const random = seededRandom(seed);
  const mapped = () => {
    const bytes = new Uint8Array(16).fill(0xff, 10, 12);
    for (let i = 12; i < 16; i++) bytes[i] = random.between(0, 255);
    return bytes;
  };
  const networks = Array.from({ length: NETWORKS }, (_, i): Network => {
    return { name: 'cloud', kind: 'cloud', zone: '', region: `region-${i}`, service: '' };
  });
  const ranges = Array.from({ length: RANGES }, (_, i): NetworkRange => {
    return [{ bytes: mapped(), bits: random.between(96 + 16, 96 + 28) }, networks[i % NETWORKS]!];
  });
  const addresses = new Uint8Array(16 * LOOK_UPS);
  for (let i = 0; i < LOOK_UPS; i++) addresses.set(mapped(), 16 * i);
  const began = performance.now();
  const index = new NetworkIndex(ranges);
  const buildMs = performance.now() - began;
  let found = 0;
  const find = nsPerItem(LOOK_UPS, () => {
    for (let at = 0; at < addresses.length; at += 16) if (index.find(addresses, at) !== undefined) found++;
  });
  if (found === 0) throw new Error('no address was found');
  return { ranges: RANGES, find, buildMs };
}
