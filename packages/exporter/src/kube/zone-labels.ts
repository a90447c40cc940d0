/** A node's zone and region, from its well-known labels. */
import { asText } from './json.ts';

type Labels = Readonly<Record<string, unknown>>;

/** Labels of a node's zone, the current one first, then the one that Kubernetes 1.17 deprecated. */
const ZONE_LABELS = ['topology.kubernetes.io/zone', 'failure-domain.beta.kubernetes.io/zone'];
/** The same of its region. */
const REGION_LABELS = ['topology.kubernetes.io/region', 'failure-domain.beta.kubernetes.io/region'];

/**
 * The zone of a node; empty: it has none. On Azure a region without zones has fault domains instead, numbered from 0: no zones, and no
 * traffic between them is billed.
 */
export function zoneOf(labels: Labels, providerId: string): string {
  const zone = firstOf(labels, ZONE_LABELS);
  return providerId.startsWith('azure://') && /^\d+$/.test(zone) ? '' : zone;
}

/** The region of a node; empty: it has none. */
export function regionOf(labels: Labels): string {
  return firstOf(labels, REGION_LABELS);
}

function firstOf(labels: Labels, keys: readonly string[]): string {
  return keys.map((key) => asText(labels[key])).find((text) => text !== '') ?? '';
}
