import { OTHER, type SeriesLabels } from '../../aggregate/snapshot.ts';

/**
 * How far bytes went, in more steps than `scope` has. The reason is in what is not known:
 * `unknown_owner`: an address of the cluster's own without a known owner; `unknown_zone`: a zone is missing.
 */
export type Distance =
  | 'same_node'
  | 'same_zone'
  | 'cross_zone'
  | 'cross_region'
  | 'cloud_service'
  | 'internet'
  | 'private'
  | 'node_local'
  | 'unknown_owner'
  | 'unknown_zone';

type End = SeriesLabels['source'];

/** The distance of a series. What was folded into `~other` has kept its scope alone. */
export function distanceOf({ source, destination, scope }: SeriesLabels): Distance | SeriesLabels['scope'] {
  if (source.owner.pod === OTHER) return scope;
  const { place, owner } = destination;
  if (place === 'public') return owner.network?.kind === 'cloud' ? 'cloud_service' : 'internet';
  if (isNodeLocal(destination)) return 'node_local';
  if (place === 'private' && owner.zone === '' && owner.region === '') return 'private';
  return distanceBetween(source, destination);
}

function distanceBetween(source: End, destination: End): Distance {
  const [src, dst] = [source.owner, destination.owner];
  if (src.node !== '' && src.node === dst.node) return 'same_node';
  // Zone names are only unique within a region.
  if (src.region !== '' && dst.region !== '' && src.region !== dst.region) return 'cross_region';
  if (src.zone !== '' && dst.zone !== '') return src.zone === dst.zone ? 'same_zone' : 'cross_zone';
  return destination.place === 'unknown' || source.place === 'unknown' ? 'unknown_owner' : 'unknown_zone';
}

/** Characters of an `addressKey` hold two bytes each: the first six are the mark of IPv4. */
const V4_MARK = '\0\0\0\0\0\uffff';
const [LINK_LOCAL_V4, LOOPBACK_V4] = [0xa9fe, 0x7f];

/** Addresses that stay on the node without being its own: link-local ones (metadata, node-local DNS) and loopback. */
function isNodeLocal({ key, place }: End): boolean {
  if (place === 'owned' || key === '') return false;
  if (!key.startsWith(V4_MARK)) return (key.charCodeAt(0) & 0xffc0) === 0xfe80;
  const first = key.charCodeAt(V4_MARK.length);
  return first === LINK_LOCAL_V4 || first >> 8 === LOOPBACK_V4;
}
