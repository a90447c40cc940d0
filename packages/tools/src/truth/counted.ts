import type { Node } from '@egressd/world/network/layout';
import type { World } from '@egressd/world/network/world';
import { readReference } from '@egressd/world/reference/reference';
import { type Transfers, transferKey } from '@egressd/world/reference/transfers';

/** What the reference on a node has counted so far. */
export async function countedOn(world: World, { name }: Node): Promise<Transfers> {
  return (await readReference(world, name)).counted;
}

/** What has moved between two reads of the reference, as often as it is compared: a transfer between two pods of the node is reported from both ends. */
export function increaseOn({ pods }: Node, before: Transfers, after: Transfers): { bytes: number; packets: number } {
  const own = new Set(pods.flatMap(({ address }) => [address.v4, address.v6]));
  const increase = { bytes: 0, packets: 0 };
  for (const { source, destination, protocol, bytes, packets } of after.values()) {
    const ends = Number(own.has(source)) + Number(own.has(destination));
    const past = before.get(transferKey(source, destination, protocol));
    increase.bytes += ends * (bytes - (past?.bytes ?? 0));
    increase.packets += ends * (packets - (past?.packets ?? 0));
  }
  return increase;
}
