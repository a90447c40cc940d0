import { setTimeout as pause } from 'node:timers/promises';
import { protocolName } from '@egressd/flow/protocol';
import { readReference } from '../reference/reference.ts';
import type { Transfers } from '../reference/transfers.ts';
import { carryOut, wholePlan } from '../traffic/plan.ts';
import { seededRandom } from '../traffic/random.ts';
import { NODES } from '../world/layout.ts';
import type { World } from '../world/world.ts';
import { compare, isExact, type Row } from './comparison.ts';
import type { Daemons } from './daemons.ts';
import { nameOf } from './names.ts';
import { allSamples, readTotals } from './samples.ts';
import { type Column, readableBytes, readableCount, textTable } from './text-table.ts';

/** Reads and exports come every second: totals that have not moved for this long have arrived. */
const STANDSTILL_MS = 5000;
/** What is not exact yet has longer: a batch may wait 10 s for Kubernetes to tell whose an address is, and a failed request for its next turn. */
const LATE_STANDSTILL_MS = 15_000;
const ASK_AGAIN_MS = 1000;
const STANDSTILL_LIMIT_MS = 90_000;
/** The traffic takes some seconds. */
const DISTURB_MS = 700;

/**
 * Sends a fixed amount, waits until all of it is in the database, and compares that with the reference, pair by pair.
 * @param print takes a line for the user
 * @returns whether every difference is zero
 */
export async function runOnce(
  world: World,
  daemons: Daemons,
  seed: number,
  print: (line: string) => void,
): Promise<boolean> {
  print(`sending a fixed amount of traffic, seed ${seed}`);
  const plan = wholePlan(seededRandom(seed));
  const { sent, received } = await disturbed(daemons, () =>
    Promise.race([daemons.failed, carryOut(plan, world.agent)]),
  );
  print(
    `done: ${readableBytes(sent)} one way, ${readableBytes(received)} the other. Waiting until the database has it all`,
  );
  const rows = await Promise.race([daemons.failed, waitForStandstill(world, daemons)]);
  for (const line of comparisonTable(rows)) print(line);
  print('');
  print(closingLine(rows));
  return rows.length > 0 && rows.every(isExact);
}

/** Does something while what happens in a cluster all the time happens: pods come and go, watches break. */
async function disturbed<T>({ apiServer }: Daemons, work: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => apiServer?.tell('disturb'), DISTURB_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/** How `waitForStandstill` waits and compares; what is not set is as the demo does it. */
export interface Standstill {
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

/** Compares what both have now, every node that is in the world or in the database. */
export async function readRows(world: World, daemons: Daemons): Promise<Row[]> {
  const references = new Map<string, Transfers>();
  for (const { name } of NODES) references.set(name, (await readReference(world, name)).counted);
  const totals = readTotals(await daemons.query(allSamples()));
  const names = new Set([...references.keys(), ...totals.keys()]);
  const rows = [...names].flatMap((node) =>
    compare({
      node,
      pods: new Set(NODES.find(({ name }) => name === node)?.pods.flatMap(({ address }) => [address.v4, address.v6])),
      reference: references.get(node) ?? new Map(),
      database: totals.get(node) ?? new Map(),
    }),
  );
  return rows.toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
}

const COLUMNS: readonly Column[] = [
  { title: 'NODE', align: 'left' },
  { title: 'SOURCE', align: 'left' },
  { title: '', align: 'left' },
  { title: 'DESTINATION', align: 'left' },
  { title: '', align: 'left' },
  { title: 'PROTO', align: 'left' },
  { title: '', align: 'left' },
  { title: 'BYTES: KERNEL', align: 'right' },
  { title: 'DATABASE', align: 'right' },
  { title: 'DIFFERENCE', align: 'right' },
  { title: 'PACKETS: KERNEL', align: 'right' },
  { title: 'DATABASE', align: 'right' },
  { title: 'DIFFERENCE', align: 'right' },
  { title: '', align: 'left' },
];

/** The table of rows, for people. */
export function comparisonTable(rows: readonly Row[]): string[] {
  return textTable(COLUMNS, rows.map(cells));
}

function sortKey({ node, source, destination, protocol, direction }: Row): string {
  return [node, nameOf(source), nameOf(destination), protocol, source, destination, direction === 'tx' ? 0 : 1].join(
    ' ',
  );
}

function cells(row: Row): string[] {
  const counts = [row.bytes, row.packets].flatMap(({ kernel, database }) =>
    [kernel, database, database - kernel].map(readableCount),
  );
  const verdict = row.missing === undefined ? (isExact(row) ? '' : 'DIFFERENT') : `MISSING ${row.missing}`;
  const ends = [nameOf(row.source), row.source, nameOf(row.destination), row.destination];
  return [row.node, ...ends, protocolName(row.protocol), row.direction, ...counts, verdict];
}

function closingLine(rows: readonly Row[]): string {
  const wrong = rows.filter((row) => !isExact(row)).length;
  const bytes = rows.reduce((sum, row) => sum + row.bytes.kernel, 0);
  const packets = rows.reduce((sum, row) => sum + row.packets.kernel, 0);
  const amount = `${rows.length / 2} pairs in both directions, ${readableCount(bytes)} bytes, ${readableCount(packets)} packets`;
  if (rows.length === 0) return 'FAILED: nothing was counted';
  return wrong === 0
    ? `EXACT: ${amount}, every difference is zero`
    : `FAILED: ${amount}, ${wrong} of ${rows.length} rows differ`;
}
