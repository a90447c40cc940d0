import { protocolName } from '@egressd/flow/protocol';
import { OTHER, type SeriesLabels } from '../../aggregate/snapshot.ts';
import { distanceOf } from './distance.ts';
import type { LabelName } from './settings.ts';

/** Reads a label of a series; empty: it has none. */
type ReadLabel = (labels: SeriesLabels) => string;

/** One end of a series with what is known of it. */
type End = SeriesLabels['source'];

const READERS: Readonly<Record<LabelName, ReadLabel>> = {
  src_ip: (labels) => labels.src_ip,
  src_pod: (labels) => labels.src_pod,
  src_namespace: (labels) => labels.src_namespace,
  src_node: (labels) => labels.src_node,
  src_zone: (labels) => labels.src_zone,
  src_region: (labels) => labels.src_region,
  src_workload_kind: ({ source }) => workloadKind(source),
  src_workload: ({ source }) => workloadName(source),
  dst_ip: (labels) => labels.dst_ip,
  dst_ip_type: (labels) => labels.dst_ip_type,
  dst_pod: (labels) => labels.dst_pod,
  dst_namespace: (labels) => labels.dst_namespace,
  dst_node: (labels) => labels.dst_node,
  dst_zone: (labels) => labels.dst_zone,
  dst_region: (labels) => labels.dst_region,
  dst_workload_kind: ({ destination }) => workloadKind(destination),
  dst_workload: ({ destination }) => workloadName(destination),
  dst_network: ({ destination }) => destination.owner.network?.name ?? '',
  dst_cloud_service: ({ destination }) => destination.owner.network?.service ?? '',
  proto: (labels) => protocolName(labels.protocol),
  cross_zone: (labels) => String(labels.cross_zone),
  scope: (labels) => labels.scope,
  distance: distanceOf,
};

/** Labels in which `~other` stands where a series was folded. */
const NAMED = ['pod', 'namespace', 'workload'] as const;

/** How to read each of these labels, in their order. In a set of zones alone, what was folded is a zone `~other`. */
export function labelReaders(names: readonly LabelName[]): { readonly name: LabelName; readonly read: ReadLabel }[] {
  const isNamed = (end: 'src' | 'dst') => NAMED.some((label) => names.includes(`${end}_${label}`));
  const [srcNamed, dstNamed] = [isNamed('src'), isNamed('dst')];
  return names.map((name) => {
    if (name === 'src_zone' && !srcNamed)
      return { name, read: ({ src_zone, src_pod }) => zoneOrOther(src_zone, src_pod) };
    if (name === 'dst_zone' && !dstNamed)
      return { name, read: ({ dst_zone, dst_pod }) => zoneOrOther(dst_zone, dst_pod) };
    return { name, read: READERS[name] };
  });
}

function zoneOrOther(zone: string, pod: string): string {
  return zone === '' && pod === OTHER ? OTHER : zone;
}

/** A pod that nothing has made is a workload of its own; all nodes are one, so that a set of workloads stays small. */
function workloadKind({ place, owner: { workload, pod } }: End): string {
  if (workload !== undefined) return workload.kind;
  if (pod === OTHER) return '';
  if (pod !== '') return 'Pod';
  return place === 'owned' ? 'Node' : '';
}

function workloadName({ owner: { workload, pod } }: End): string {
  return workload?.name ?? pod;
}
