import { parseRange, type Range } from '@egressd/flow/address';
import type { NodeRecord } from '../owners/owners.ts';
import { asList, asMap, asText } from './json.ts';
import { objectParts, readAddresses } from './object-parts.ts';
import type { Problem } from './problems.ts';
import { regionOf, zoneOf } from './zone-labels.ts';

/** What is read of a node. */
export interface NodeFacts {
  readonly node: NodeRecord;
  readonly podRanges: readonly Range[];
  /** The chart's DaemonSet can run on it. */
  readonly runsCollectors: boolean;
  readonly problems: readonly Problem[];
}

/**
 * Reads a `Node` (core/v1); undefined where it has no name. Zone and region come from its labels
 * (`zone-labels.ts`).
 */
export function readNode(object: unknown): NodeFacts | undefined {
  const { metadata, spec, status } = objectParts(object);
  const name = asText(metadata.name);
  if (name === '') return undefined;
  // Hostname, InternalDNS and ExternalDNS are names.
  const ips = asList(status.addresses)
    .map(asMap)
    .filter(({ type }) => type === 'InternalIP' || type === 'ExternalIP')
    .map((one) => asText(one.address));
  const { addresses, problems } = readAddresses(ips);
  if (addresses.length === 0 && problems.length === 0) problems.push('no_address');
  const labels = asMap(metadata.labels);
  const zone = zoneOf(labels, asText(spec.providerID));
  const region = regionOf(labels);
  if (zone === '') problems.push('no_zone');
  const cidrs = asList(spec.podCIDRs).length > 0 ? asList(spec.podCIDRs) : [spec.podCIDR];
  const ranges = cidrs.map(asText).filter((text) => text !== '');
  const podRanges = ranges.map(parseRange).filter((range) => range !== undefined);
  if (podRanges.length < ranges.length) problems.push('malformed_address');
  return { node: { name, zone, region, addresses }, podRanges, runsCollectors: runsCollectors(labels), problems };
}

/** Virtual nodes (Fargate, virtual-kubelet) and Windows run no collector of ours: none is missing there. */
function runsCollectors(labels: Readonly<Record<string, unknown>>): boolean {
  return (
    labels['eks.amazonaws.com/compute-type'] !== 'fargate' &&
    labels.type !== 'virtual-kubelet' &&
    labels['kubernetes.io/os'] !== 'windows'
  );
}
