import type { SeriesLabels } from '../aggregate/snapshot.ts';

/** Stands for whoever had no room: no name of a pod or namespace can begin so. */
export const OTHER = '~other';

/**
 * Labels of the series that takes what has no room. Who it was is given up, but not what a bill is about: protocol, class of
 * the destination, whether zones differ and scope stay, so sums over them stay exact. The values that these can have
 * bound the number of such series.
 */
export function otherLabels(labels: SeriesLabels): SeriesLabels {
  return {
    src_ip: '',
    src_pod: OTHER,
    src_namespace: OTHER,
    src_node: '',
    src_zone: '',
    src_region: '',
    dst_ip: '',
    dst_ip_type: labels.dst_ip_type,
    dst_pod: OTHER,
    dst_namespace: OTHER,
    dst_node: '',
    dst_zone: '',
    dst_region: '',
    protocol: labels.protocol,
    cross_zone: labels.cross_zone,
    scope: labels.scope,
  };
}
