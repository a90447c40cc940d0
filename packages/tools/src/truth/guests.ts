import { rename, writeFile } from 'node:fs/promises';
import type { Row as ComparedRow } from '@egressd/world/daemons/comparison';
import { compare } from '@egressd/world/daemons/comparison';
import { type Daemons, inventoryPath } from '@egressd/world/daemons/daemons';
import { inventoryOfWorld } from '@egressd/world/daemons/inventory';
import {
  allSamples,
  type ExportedSeries,
  inOrder,
  type PairTotals,
  readTotals,
  totalRise,
} from '@egressd/world/daemons/samples';
import { readRows } from '@egressd/world/daemons/standstill';
import { GATEWAY, NODES, type Node, type Pod } from '@egressd/world/network/layout';
import type { World } from '@egressd/world/network/world';
import { readReference } from '@egressd/world/reference/reference';
import type { Transfers } from '@egressd/world/reference/transfers';

/**
 * A pod that comes and goes, with an address that others have had or will have. It lives in the namespace of another pod of its node,
 * beside that one's own addresses.
 */
export interface Guest {
  readonly namespace: string;
  readonly name: string;
  readonly node: Node;
  readonly host: Pod;
  readonly address: string;
}

/** Brings the guest's address to where it lives: from now on packets for it find their way there. */
export async function settle(world: World, { node, host, address }: Guest): Promise<void> {
  await world.run(host.name, 'ip', ['address', 'add', `${address}/32`, 'dev', 'eth0']);
  await world.run(node.name, 'ip', ['route', 'replace', `${address}/32`, 'dev', `pod-${host.name}`]);
  await world.run(GATEWAY, 'ip', ['route', 'replace', `${address}/32`, 'via', node.address.v4]);
}

/** Removes it again: the node sends what is for it to the gateway, as it does with any other. */
export async function unsettle(world: World, { node, host, address }: Guest): Promise<void> {
  await world.run(host.name, 'ip', ['address', 'delete', `${address}/32`, 'dev', 'eth0']);
  await world.run(node.name, 'ip', ['route', 'delete', `${address}/32`]);
}

/** Writes the exporter's inventory: these guests beside the usual pods. */
export async function writeInventory(world: World, guests: readonly Guest[]): Promise<void> {
  const inventory = JSON.parse(inventoryOfWorld(world.layout)) as { pods: unknown[] };
  for (const { namespace, name, node, address } of guests)
    inventory.pods.push({ namespace, name, node: node.name, ips: [address] });
  const path = inventoryPath(world);
  await writeFile(`${path}.new`, JSON.stringify(inventory));
  await rename(`${path}.new`, path);
}

/** What the reference of each node has counted, by the node's name. */
type References = ReadonlyMap<string, Transfers>;

/** Reads the reference of every node. */
export async function readReferences(world: World): Promise<References> {
  const references = new Map<string, Transfers>();
  for (const { name } of NODES) references.set(name, (await readReference(world, name)).counted);
  return references;
}

/** A time in which a guest's address was on a node; a side that is not set is open. */
interface GuestTime {
  readonly node: Node;
  readonly address: string;
  readonly from?: References;
  readonly to?: References;
}

/**
 * What kernel and database have: pairs of the usual pods as always, those of guests for the times in which their addresses were on
 * that node.
 */
export async function compareWithGuests(
  world: World,
  daemons: Daemons,
  times: readonly GuestTime[],
): Promise<ComparedRow[]> {
  const addresses = new Set(times.map(({ address }) => address));
  const usual = (await readRows(world, daemons)).filter(({ source }) => !addresses.has(source));
  const now = await readReferences(world);
  const totals = readTotals(await daemons.query(allSamples()));
  const guests = times.flatMap(({ node: { name }, address, from, to }) => {
    const rows = compare({
      node: name,
      pods: new Set([address]),
      reference: between(from?.get(name), (to ?? now).get(name)!),
      database: ofSource(address, totals.get(name)),
    });
    return rows.filter(({ source }) => source === address);
  });
  return [...usual, ...guests];
}

function ofSource(address: string, totals: ReadonlyMap<string, PairTotals> = new Map()): Map<string, PairTotals> {
  return new Map([...totals].filter(([, { source }]) => source === address));
}

/** What was counted between two reads of the reference. */
function between(from: Transfers | undefined, to: Transfers): Transfers {
  const moved = [...to].map(([key, transfer]) => {
    const { bytes = 0, packets = 0 } = from?.get(key) ?? {};
    return [key, { ...transfer, bytes: transfer.bytes - bytes, packets: transfer.packets - packets }] as const;
  });
  return new Map(moved.filter(([, { packets }]) => packets > 0));
}

/** Bytes that the reference of a node has seen from and to an address. */
export function bytesOf(address: string, references: References, { name }: Node): number {
  let bytes = 0;
  for (const transfer of references.get(name)?.values() ?? [])
    if (transfer.source === address || transfer.destination === address) bytes += transfer.bytes;
  return bytes;
}

/** Bytes sent and received by a source address, by the name of the pod that they were attributed to; '' where there is none. */
export async function bytesByPod(daemons: Daemons, address: string): Promise<Map<string, number>> {
  const pods = new Map<string, number>();
  for (const line of (await daemons.query(allSamples())).split('\n').filter(Boolean)) {
    const series = JSON.parse(line) as ExportedSeries;
    const { __name__ = '', src_ip, src_pod = '' } = series.metric;
    if (src_ip !== address || !__name__.endsWith('_bytes_total')) continue;
    pods.set(src_pod, (pods.get(src_pod) ?? 0) + totalRise(inOrder(series)));
  }
  return pods;
}
