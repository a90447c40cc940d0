import { ADDRESS_BYTES, formatAddress } from '@egressd/flow/address';
import type { Endpoint } from '../enrich/endpoint.ts';
import type { Scope, SeriesLabels } from './snapshot.ts';

/** One end of a flow with its address as text. */
export interface LabelledEnd {
  readonly end: Endpoint;
  readonly ip: string;
}

/** The labels of the series that the flows from `source` to `destination` belong to. */
export function labelsOf(source: LabelledEnd, destination: LabelledEnd, protocol: number): SeriesLabels {
  const [src, dst] = [source.end.owner, destination.end.owner];
  return {
    src_ip: source.ip,
    src_pod: src.pod,
    src_namespace: src.namespace,
    src_node: src.node,
    src_zone: src.zone,
    src_region: src.region,
    dst_ip: destination.ip,
    dst_ip_type: destination.end.place === 'public' ? 'public' : 'private',
    dst_pod: dst.pod,
    dst_namespace: dst.namespace,
    dst_node: dst.node,
    dst_zone: dst.zone,
    dst_region: dst.region,
    protocol,
    cross_zone: src.zone !== '' && dst.zone !== '' && src.zone !== dst.zone,
    scope: scopeOf(source.end, destination.end),
    source: source.end,
    destination: destination.end,
  };
}

/** How far the bytes went, by what is known of both ends. */
export function scopeOf(source: Endpoint, destination: Endpoint): Scope {
  if (destination.place === 'public') return 'internet';
  if (destination.place === 'private') return 'private';
  const [src, dst] = [source.owner, destination.owner];
  // Zone names are only unique within a region.
  if (src.region !== '' && dst.region !== '' && src.region !== dst.region) return 'cross_region';
  if (src.zone === '' || dst.zone === '') return 'unknown';
  return src.zone === dst.zone ? 'same_zone' : 'cross_zone';
}

/** The address of an `addressKey`, as text. */
export function formatKey(key: string): string {
  const bytes = new Uint8Array(ADDRESS_BYTES);
  for (let i = 0; i < key.length; i++) {
    bytes[2 * i] = key.charCodeAt(i) >> 8;
    bytes[2 * i + 1] = key.charCodeAt(i) & 0xff;
  }
  return formatAddress(bytes);
}
