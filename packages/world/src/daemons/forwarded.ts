import type { Node } from '../network/layout.ts';
import type { Reference } from '../reference/reference.ts';
import { sumTransfers, type Transfers } from '../reference/transfers.ts';

/** The addresses of a node's pods. */
export function podAddresses({ pods }: Node): Set<string> {
  return new Set(pods.flatMap(({ address }) => [address.v4, address.v6]));
}

/**
 * What egressd has to report of a node's pods: what the node's own kernel counted, and what other nodes forwarded to them by SNAT, with
 * the client's address. What those nodes sent themselves is not forwarded.
 * @param nodes all that may forward to it
 */
export function expectedOf(node: Node, nodes: readonly Node[], references: ReadonlyMap<string, Reference>): Transfers {
  const pods = podAddresses(node);
  const others = nodes.filter(({ name }) => name !== node.name);
  const forwarded = others.flatMap((entry) => {
    const { translated, addresses } = references.get(entry.name)!;
    const { asked, answered } = translated;
    return [
      ...[...asked.values()].filter(({ source, destination }) => pods.has(destination) && !addresses.has(source)),
      ...[...answered.values()].filter(({ source, destination }) => pods.has(source) && !addresses.has(destination)),
    ];
  });
  return sumTransfers([...references.get(node.name)!.counted.values(), ...forwarded]);
}
