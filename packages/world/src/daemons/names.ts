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

/** The host or pod that has an address in the world; the address itself where none has. */
export function nameOf(address: string): string {
  return NAMES.get(address) ?? address;
}
