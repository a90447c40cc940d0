import { HOSTS, NODES, PODS } from '../network/layout.ts';

const NAMES = new Map<string, string>([
  ...HOSTS.flatMap(({ name, address }) => [address.v4, address.v6].map((each) => [each, name] as const)),
  ...PODS.flatMap(({ name, namespace, address }) =>
    [address.v4, address.v6].map((each) => [each, `${namespace}/${name}`] as const),
  ),
  // What a pod sees of its own node.
  ...NODES.map(({ name, number }) => [`10.10.${number}.1`, name] as const),
]);

/** Who has the address in the world; the address itself where nobody has. */
export function nameOf(address: string): string {
  return NAMES.get(address) ?? address;
}
