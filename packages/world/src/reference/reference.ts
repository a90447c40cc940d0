import { readFile } from 'node:fs/promises';
import type { World } from '../network/world.ts';
import { sumTransfers, type Transfer, type Transfers } from './transfers.ts';

const RULES = new URL('./reference.nft', import.meta.url);

/** A name that no link has. */
const NO_LINK = 'none';

/** What nftables counted on one node, beside conntrack. */
export interface Reference {
  /** What conntrack should have counted, and what passed it by. */
  readonly counted: Transfers;
  /** Of this, what passed it by, as the rules count that let it. */
  readonly passedBy: Transfers;
  /** Of this, what belongs to connections with another source behind SNAT: from who opened them, and from who answered. */
  readonly translated: { readonly asked: Transfers; readonly answered: Transfers };
  /** The node's own addresses. */
  readonly addresses: ReadonlySet<string>;
  /** Packets that belonged to no connection: not part of the comparison, but good to know of. */
  readonly invalidPackets: number;
}

/** Puts the reference on a node of the world. Connections from before are flushed, so that both begin at zero. */
export async function loadReference(world: World, node: string): Promise<void> {
  const { secondPass = NO_LINK } = world.layout;
  const define = `second_pass=${secondPass}`;
  await world.run(node, 'nft', ['--define', define, '-f', '-'], await readFile(RULES, 'utf8'));
  await world.run(node, 'conntrack', ['-F']);
}

/** Reads what the reference has counted until now. */
export async function readReference(world: World, node: string): Promise<Reference> {
  const read = async (set: string, table = 'ctref') =>
    parseSet(await world.run(node, 'nft', ['-j', '--numeric-protocol', 'list', 'set', 'inet', table, set]));
  // One after the other: nft takes a lock of its own anyway.
  const counted = [...(await read('v4')), ...(await read('v6'))];
  const { passedBy } = world.layout;
  const passed =
    passedBy === undefined ? [] : [...(await read('passed4', passedBy)), ...(await read('passed6', passedBy))];
  const invalid = [...(await read('inv4')), ...(await read('inv6'))];
  const translated = {
    asked: sumTransfers(
      [...(await read('asked4')), ...(await read('asked6'))].filter(({ source, seenAs }) => source !== seenAs),
    ),
    answered: sumTransfers(
      [...(await read('answered4')), ...(await read('answered6'))].filter(
        ({ destination, seenAs }) => destination !== seenAs,
      ),
    ),
  };
  const links = JSON.parse(await world.run(node, 'ip', ['-j', 'address'])) as readonly Link[];
  const addresses = new Set(links.flatMap(({ addr_info }) => addr_info.map(({ local }) => local)));
  return {
    counted: sumTransfers(counted),
    passedBy: sumTransfers(passed),
    translated,
    addresses,
    invalidPackets: invalid.reduce((sum, { packets }) => sum + packets, 0),
  };
}

/** As `ip -j address` writes it: ip-address(8). */
interface Link {
  readonly addr_info: readonly { readonly local: string }[];
}

/** An element of a set with counters, as `nft -j` writes it: libnftables-json(5). */
interface Element {
  readonly elem: {
    readonly val: { readonly concat: readonly (number | string)[] };
    readonly counter: { readonly packets: number; readonly bytes: number };
  };
}

/** What is left of it. */
interface SetElement extends Transfer {
  /** As whom the one that answered sees the other, behind SNAT. */
  readonly seenAs?: string;
}

interface Listing {
  readonly nftables: readonly { readonly set?: { readonly elem?: readonly Element[] } }[];
}

/** Protocols that some versions of nft write by name though they were asked not to. */
const NUMBERS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, 'ipv6-icmp': 58, icmpv6: 58, sctp: 132 };

/**
 * The elements of a listed set of address . address . protocol, or with a third address before the protocol: as whom the source is seen.
 * @throws Error where a protocol has a name that we do not know
 */
export function parseSet(json: string): SetElement[] {
  const { nftables } = JSON.parse(json) as Listing;
  const elements = nftables.flatMap(({ set }) => set?.elem ?? []);
  return elements.map(({ elem: { val, counter } }) => {
    const [source, destination, ...rest] = val.concat.map(String) as [string, string, ...string[]];
    const name = rest.at(-1)!;
    const seenAs = rest.length > 1 ? rest[0] : undefined;
    const protocol = NUMBERS[name] ?? Number(name);
    if (!Number.isInteger(protocol)) throw new Error(`nft names the protocol ${name}, which is not known here`);
    return { source, destination, protocol, ...counter, ...(seenAs !== undefined && { seenAs }) };
  });
}
