import { ANY_V4, ANY_V6, addressKey } from '@egressd/flow/address';
import type { Endpoint } from '../enrich/endpoint.ts';
import { OTHER } from './snapshot.ts';

const KEY_V4 = addressKey(ANY_V4);
const KEY_V6 = addressKey(ANY_V6);
/** Ten bytes of zeros and the mark of IPv4, two bytes a character. */
const V4_PREFIX = KEY_V4.slice(0, 6);
const NO_OWNER = { namespace: '', pod: '', node: '', zone: '', region: '' };

/**
 * What a destination is folded to where its source has its share of series: pod, node and address are lost, but zone, region and place
 * stay, so that sums over zones and scopes stay exact. Public ones become what `group-public-ips` makes of them.
 */
export function foldedDestination({ key, place, owner: { zone, region } }: Endpoint): Endpoint {
  const owner = place === 'public' ? NO_OWNER : { namespace: OTHER, pod: OTHER, node: '', zone, region };
  return { key: foldedKey(key), place, owner };
}

/** The same of a source: a pod stays what it is, of what is none the node stays. */
export function foldedSource(source: Endpoint): Endpoint {
  return source.owner.pod === '' ? { ...source, key: foldedKey(source.key) } : source;
}

function foldedKey(key: string): string {
  return key.startsWith(V4_PREFIX) ? KEY_V4 : KEY_V6;
}
