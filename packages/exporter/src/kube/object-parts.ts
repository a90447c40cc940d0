/** What pods and nodes have in common: metadata, spec, status and addresses. */
import { parseAddress } from '@egressd/flow/address';
import { asMap, asText } from './json.ts';
import type { Problem } from './problems.ts';

/** Addresses of one object that are read: a pod has two, a node a few. */
const MAX_ADDRESSES = 64;

/** The resource version of a list or an object, from which a watch can start; empty: none. */
export function resourceVersionOf(object: unknown): string {
  return asText(asMap(asMap(object).metadata).resourceVersion);
}

/** The three maps of an object; empty where it has none. */
export function objectParts(object: unknown) {
  const { metadata, spec, status } = asMap(object);
  return { metadata: asMap(metadata), spec: asMap(spec), status: asMap(status) };
}

/** The unspecified address (0.0.0.0, ::) is not an address of anything. */
export function readAddresses(texts: readonly string[]): { addresses: Uint8Array[]; problems: Problem[] } {
  const given = texts.filter((text) => text !== '').slice(0, MAX_ADDRESSES);
  const addresses = given
    .map(parseAddress)
    .filter((bytes) => bytes !== undefined)
    .filter((bytes) => bytes.subarray(12).some((byte) => byte !== 0));
  return { addresses, problems: addresses.length < given.length ? ['malformed_address'] : [] };
}
