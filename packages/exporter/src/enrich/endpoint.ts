import { ANY_V4, ANY_V6, addressKey, inRange, isPublic, isV4, type Range } from '@egressd/flow/address';
import type { Network, Networks } from '../networks/network.ts';
import type { Owner, Ownership } from '../owners/owners.ts';

/**
 * Where an end of a flow lies:
 * `owned`: a pod or a node has it; `public`: an address of the internet; `private`: a private one outside the cluster without
 * a known owner; `unknown`: the cluster's own, but its owner is not known for sure.
 */
type Place = 'owned' | 'public' | 'private' | 'unknown';

/** One end of a flow with what is known of it. Never changed. */
export interface Endpoint {
  /** The address as `addressKey` writes it; of all public ones alike where they are folded. */
  readonly key: string;
  readonly place: Place;
  readonly owner: EndOwner;
}

/** Empty: not known, or it has none. */
export type EndOwner = Pick<Owner, 'namespace' | 'pod' | 'node' | 'zone' | 'region' | 'workload'> & {
  /** Of an address without an owner, where one is configured; zone and region are then its own. */
  readonly network?: Network;
};

/** What an owner is known by, in words. */
type OwnerText = Exclude<keyof EndOwner, 'workload' | 'network'>;

const NO_OWNER: EndOwner = { namespace: '', pod: '', node: '', zone: '', region: '' };

/** What public addresses are folded to. */
const FOLDED_V4: Endpoint = { key: addressKey(ANY_V4), place: 'public', owner: NO_OWNER };
const FOLDED_V6: Endpoint = { key: addressKey(ANY_V6), place: 'public', owner: NO_OWNER };

/** `0.0.0.0` or `::`: the collector has folded it already. */
export function isFolded(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 10; i++) if (bytes[at + i] !== 0) return false;
  for (let i = 12; i < 16; i++) if (bytes[at + i] !== 0) return false;
  const mark = bytes[at + 10];
  return mark === bytes[at + 11] && (mark === 0 || mark === 0xff);
}

/** How addresses without an owner are classified. */
interface AddressRules {
  /** Never public, whatever their numbers. */
  readonly clusterRanges: readonly Range[];
  /** Private, whatever their numbers, and not the cluster's. */
  readonly privateRanges: readonly Range[];
  /** Networks of the user's and of clouds. */
  readonly networks: Networks;
  /** All public addresses count as one, or as one of each network. */
  readonly groupPublicIps: boolean;
}

/** The end at an address, as it stands in a series. */
export function endpointAt(bytes: Uint8Array, at: number, ownership: Ownership, rules: AddressRules): Endpoint {
  if (ownership.known === 'owner') return { key: addressKey(bytes, at), place: 'owned', owner: ownership.owner };
  if (ownership.known === 'several')
    return { key: addressKey(bytes, at), place: 'unknown', owner: agreed(ownership.owners) };
  if (isFolded(bytes, at)) return isV4(bytes, at) ? FOLDED_V4 : FOLDED_V6;
  if (rules.clusterRanges.some((range) => inRange(range, bytes, at)))
    return { key: addressKey(bytes, at), place: 'unknown', owner: NO_OWNER };
  const network = rules.networks.find(bytes, at);
  const owner = network === undefined ? NO_OWNER : ownerOfNetwork(network);
  if (isPrivate(bytes, at, network, rules)) return { key: addressKey(bytes, at), place: 'private', owner };
  if (!rules.groupPublicIps) return { key: addressKey(bytes, at), place: 'public', owner };
  const folded = isV4(bytes, at) ? FOLDED_V4 : FOLDED_V6;
  return network === undefined ? folded : { ...folded, owner };
}

function isPrivate(bytes: Uint8Array, at: number, network: Network | undefined, rules: AddressRules): boolean {
  const kind = network?.kind ?? '';
  if (kind !== '') return kind === 'private';
  return !isPublic(bytes, at) || rules.privateRanges.some((range) => inRange(range, bytes, at));
}

const NETWORK_OWNERS = new WeakMap<Network, EndOwner>();

/** The same object for a network, so that ends of it are compared fast. */
function ownerOfNetwork(network: Network): EndOwner {
  const known = NETWORK_OWNERS.get(network);
  if (known !== undefined) return known;
  const owner = { ...NO_OWNER, zone: network.zone, region: network.region, network };
  NETWORK_OWNERS.set(network, owner);
  return owner;
}

/** What is true of each of them: it is true of the one whom it was. */
function agreed(owners: readonly Owner[]): EndOwner {
  const of = (field: OwnerText): string => {
    const value = owners[0]?.[field] ?? '';
    return owners.every((owner) => owner[field] === value) ? value : '';
  };
  // A pod's name means nothing without its namespace and node.
  const [namespace, node] = [of('namespace'), of('node')];
  const workload = agreedWorkload(owners);
  return {
    namespace,
    node,
    pod: namespace === '' || node === '' ? '' : of('pod'),
    zone: of('zone'),
    region: of('region'),
    ...(namespace === '' || workload === undefined ? {} : { workload }),
  };
}

/** An address that goes from one pod of a Deployment to the next is that Deployment's all the time. */
function agreedWorkload(owners: readonly Owner[]): Owner['workload'] {
  const first = owners[0]?.workload;
  return owners.every(({ workload }) => workload?.kind === first?.kind && workload?.name === first?.name)
    ? first
    : undefined;
}
