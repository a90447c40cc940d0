import { blueprintOf } from '../network/kinds.ts';
import { HOSTS, NODES, PODS } from '../network/layout.ts';

const NAMES = new Map<string, string>([
  ...HOSTS.flatMap(({ name, address }) => [address.v4, address.v6].map((each) => [each, name] as const)),
  ...PODS.flatMap(({ name, namespace, address }) =>
    [address.v4, address.v6].map((each) => [each, `${namespace}/${name}`] as const),
  ),
  // What pods see of a node where its own address is not what it shows itself with: gateway, bridge and tunnel.
  ...NODES.flatMap(({ name, number }) =>
    [`10.10.${number}.1`, `10.10.${number}.0`, `fd00:10:${number}::1`, `fd00:10:${number}::`].map(
      (each) => [each, name] as const,
    ),
  ),
]);

/** Addresses that only their node knows, and another node has too. */
const NAMES_ON_NODE = new Map(
  blueprintOf('dual').layout.nodes.flatMap((node) =>
    node.pods.map(({ name, namespace, address }) => [`${node.name} ${address.v4}`, `${namespace}/${name}`] as const),
  ),
);

/** The host or pod that has an address in the world, as a node sees it; the address itself where none has. */
export function nameOf(address: string, node: string): string {
  return NAMES.get(address) ?? NAMES_ON_NODE.get(`${node} ${address}`) ?? address;
}
