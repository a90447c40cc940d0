import { setTimeout as pause } from 'node:timers/promises';
import type { World } from '../network/world.ts';
import { type Reference, readReference } from '../reference/reference.ts';
import { compare, isExact, type Row } from './comparison.ts';
import type { Daemons } from './daemons.ts';
import { expectedOf, podAddresses } from './forwarded.ts';
import { nameOf } from './names.ts';
import { allSamples, readTotals } from './samples.ts';

/** Reads and exports come every second: totals that have not moved for this long have arrived. */
const STANDSTILL_MS = 5000;
/** Totals that are not exact yet get longer: a batch may be pending an owner for 10 s, and a failed request waits for its backoff. */
const LATE_STANDSTILL_MS = 15_000;
const ASK_AGAIN_MS = 1000;
const STANDSTILL_LIMIT_MS = 90_000;
/** How `waitForStandstill` waits and compares; what is not set is as the demo does it. */
interface Standstill {
  /** Totals that are not exact have arrived once they have not moved for this long. */
  readonly lateMs?: number;
  readonly read?: () => Promise<Row[]>;
}

/**
 * Waits until neither the reference nor the database moves any more.
 * @returns what both have then
 * @throws Error where they still move after a long time
 */
export async function waitForStandstill(world: World, daemons: Daemons, options: Standstill = {}): Promise<Row[]> {
  const { lateMs = LATE_STANDSTILL_MS, read = () => readRows(world, daemons) } = options;
  const deadline = Date.now() + STANDSTILL_LIMIT_MS + lateMs;
  let before = '';
  let since = Date.now();
  for (;;) {
    const rows = await read();
    const state = JSON.stringify(rows);
    if (state !== before) since = Date.now();
    before = state;
    if (Date.now() - since >= (rows.every(isExact) ? STANDSTILL_MS : lateMs)) return rows;
    if (Date.now() > deadline)
      throw new Error(`totals still move after ${STANDSTILL_LIMIT_MS / 1000} s without traffic`);
    await pause(ASK_AGAIN_MS);
  }
}

/**
 * Compares what both have now, every node that is in the world or in the database.
 * @param forwarded whether nodes also report what they forward to pods elsewhere: not where they read Cilium's maps, which lack it
 * @param passing whether what passes conntrack by is missing: not where the sockets are counted
 * @param selector of the series in the database: `allSamples`
 */
export async function readRows(
  world: World,
  daemons: Daemons,
  forwarded = true,
  selector = '',
  passing = true,
): Promise<Row[]> {
  const references = new Map<string, Reference>();
  const { nodes } = world.layout;
  for (const { name } of nodes) references.set(name, await readReference(world, name));
  const totals = readTotals(await daemons.query(allSamples(selector)));
  const names = new Set([...references.keys(), ...totals.keys()]);
  const rows = [...names].flatMap((name) => {
    const node = nodes.find((each) => each.name === name);
    return compare({
      node: name,
      pods: node === undefined ? new Set() : podAddresses(node),
      reference: node === undefined ? new Map() : expectedOf(node, forwarded ? world.layout.nodes : [], references),
      passedBy: (passing ? references.get(name)?.passedBy : undefined) ?? new Map(),
      database: totals.get(name) ?? new Map(),
    });
  });
  return rows.toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
}

function sortKey({ node, source, destination, protocol, direction }: Row): string {
  return [
    node,
    nameOf(source, node),
    nameOf(destination, node),
    protocol,
    source,
    destination,
    direction === 'tx' ? 0 : 1,
  ].join(' ');
}
