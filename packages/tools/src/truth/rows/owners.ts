import { NODE_A, NODE_B, type Node, type Pod } from '@egressd/world/network/layout';
import {
  bytesByPod,
  bytesOf,
  compareWithGuests,
  type Guest,
  readReferences,
  settle,
  unsettle,
  writeInventory,
} from '../guests.ts';
import type { Context, Expectation, Row } from '../row.ts';
import { misattributed, visit } from '../visits.ts';

/** No host of the world has it. */
const ADDRESS = '10.10.1.50';
const [HOST_A, HOST_B] = [podOf(NODE_A), podOf(NODE_B)];
/** Until the exporter has read its inventory, and a read and more: what moved before is in a batch by then. */
const KNOWN_MS = 2500;

function podOf({ pods }: Node): Pod {
  return pods.find(({ name }) => name.startsWith('cart'))!;
}

const guest = (name: string, node: Node, host: Pod): Guest => ({
  namespace: 'data',
  name,
  node,
  host,
  address: ADDRESS,
});

/** One guest goes, and when all it moved is reported, another comes with the same address. */
function succeeded(second: Guest): Row['fault'] {
  return async (context) => {
    const { world, daemons, pause } = context;
    const first = guest('first', NODE_A, HOST_A);
    await writeInventory(world, [first]);
    await settle(world, first);
    await pause(KNOWN_MS);
    await visit(context, ADDRESS, 10);
    await unsettle(world, first);
    await pause(KNOWN_MS);
    const change = await readReferences(world);
    await writeInventory(world, [second]);
    await pause(KNOWN_MS);
    await settle(world, second);
    await visit(context, ADDRESS, 10);
    const compare = () =>
      compareWithGuests(world, daemons, [
        { node: first.node, address: ADDRESS, ...(first.node === second.node ? {} : { to: change }) },
        ...(first.node === second.node ? [] : [{ node: second.node, address: ADDRESS, from: change }]),
      ]);
    const wrong = async () => {
      const then = bytesOf(ADDRESS, change, first.node);
      const since = bytesOf(ADDRESS, await readReferences(world), second.node);
      const kernel = { first: then, second: since - bytesOf(ADDRESS, change, second.node) };
      return misattributed(context, ADDRESS, kernel);
    };
    return { compare, wrong };
  };
}

/** One guest takes the place of another in the midst of its traffic. */
async function replaced(context: Context): Promise<Expectation> {
  const { world, daemons, pause, metric } = context;
  const [first, second] = [guest('first', NODE_A, HOST_A), guest('second', NODE_A, HOST_A)];
  await writeInventory(world, [first]);
  await settle(world, first);
  await pause(KNOWN_MS);
  let changed = false;
  const visiting = (async () => {
    while (!changed) await visit(context, ADDRESS, 1);
    await visit(context, ADDRESS, 10);
  })();
  await pause(4000);
  const before = bytesOf(ADDRESS, await readReferences(world), NODE_A);
  await pause(KNOWN_MS);
  await writeInventory(world, [second]);
  await pause(KNOWN_MS);
  const after = bytesOf(ADDRESS, await readReferences(world), NODE_A);
  changed = true;
  await visiting;
  const wrong = async () => {
    const pods = await bytesByPod(daemons, ADDRESS);
    const all = bytesOf(ADDRESS, await readReferences(world), NODE_A);
    const [one = 0, other = 0, unknown = 0] = ['first', 'second', ''].map((name) => pods.get(name));
    const shown = await metric('exporter', 'egressd_exporter_unknown_owner_bytes_total');
    if (one + other + unknown !== all)
      return `${all} bytes by the kernel, ${one} + ${other} + ${unknown} in the database`;
    if (one < before || other < all - after || unknown > after - before)
      return 'more went to the wrong pod than moved around the change';
    return unknown > 0 && shown < unknown ? 'egressd_exporter_unknown_owner_bytes_total does not show it' : undefined;
  };
  return { compare: () => compareWithGuests(world, daemons, [{ node: NODE_A, address: ADDRESS }]), wrong };
}

export const OWNER_ROWS: readonly Row[] = [
  {
    name: 'pod-replaced',
    does: 'A pod takes the place of another with the same address, on the same node: each has what it moved.',
    worlds: ['routed'],
    fault: succeeded(guest('second', NODE_A, HOST_A)),
  },
  {
    name: 'pod-replaced-elsewhere',
    does: 'A pod takes the place of another with the same address, on another node: each has what it moved.',
    worlds: ['routed'],
    fault: succeeded(guest('second', NODE_B, HOST_B)),
  },
  {
    name: 'pod-replaced-at-once',
    does: 'An address changes hands in the midst of its traffic: nothing is lost, and what moved around the change has no owner rather than a wrong one.',
    worlds: ['routed'],
    fault: replaced,
  },
];
