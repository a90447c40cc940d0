import { protocolName } from '@egressd/flow/protocol';
import { isExact, type Row } from '@egressd/world/daemons/comparison';
import type { Daemons } from '@egressd/world/daemons/daemons';
import { withSocketless } from '@egressd/world/daemons/ebpf-exceptions';
import { nameOf } from '@egressd/world/daemons/names';
import { readRows, waitForStandstill } from '@egressd/world/daemons/standstill';
import type { World } from '@egressd/world/network/world';
import { carryOut, wholePlan } from '@egressd/world/traffic/plan';
import { seededRandom } from '@egressd/world/traffic/random';
import { type Column, readableBytes, readableCount, textTable } from './text-table.ts';

/** The traffic takes some seconds. */
const DISTURB_MS = 700;

interface OnceOptions {
  readonly seed: number;
  /** Where collectors count. */
  readonly source: 'netfilter' | 'ebpf';
}

/**
 * Sends a fixed amount, waits until all of it is in the database, and compares that with the reference, pair by pair.
 * @param print takes a line for the user
 * @returns whether every difference is zero
 */
export async function runOnce(
  world: World,
  daemons: Daemons,
  { seed, source }: OnceOptions,
  print: (line: string) => void,
): Promise<boolean> {
  print(`sending a fixed amount of traffic, seed ${seed}`);
  const plan = wholePlan(seededRandom(seed), world.layout);
  const { sent, received } = await disturbed(daemons, () =>
    Promise.race([daemons.failed, carryOut(plan, world.agent)]),
  );
  print(
    `done: ${readableBytes(sent)} one way, ${readableBytes(received)} the other. Waiting until the database has it all`,
  );
  const read = async () => {
    const all = await readRows(world, daemons, true, '', source === 'netfilter');
    return source === 'netfilter' ? all : withSocketless(all, plan, world.layout);
  };
  const rows = await Promise.race([daemons.failed, waitForStandstill(world, daemons, { read })]);
  for (const line of comparisonTable(rows)) print(line);
  print('');
  const passes = source === 'ebpf' || world.layout.passedBy !== undefined;
  print(closingLine(rows, passes, source));
  return isGood(rows, passes);
}

/** Works while the usual changes of a cluster go on: pods come and go, watches break. */
async function disturbed<T>({ apiServer }: Daemons, work: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => apiServer?.writeLine('disturb'), DISTURB_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
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

function cells(row: Row): string[] {
  const counts = [row.bytes, row.packets].flatMap(({ kernel, database }) =>
    [kernel, database, database - kernel].map(readableCount),
  );
  const verdict = row.missing === undefined ? (isExact(row) ? passedText(row) : 'DIFFERENT') : `MISSING ${row.missing}`;
  const ends = [nameOf(row.source, row.node), row.source, nameOf(row.destination, row.node), row.destination];
  return [row.node, ...ends, protocolName(row.protocol), row.direction, ...counts, verdict];
}

function passedText({ passedBy }: Row): string {
  return passedBy === undefined ? '' : `${passedBy.why ?? 'passed by'}: ${readableCount(passedBy.bytes)}`;
}

/** @param passes whether the world lets something pass conntrack by */
function isGood(rows: readonly Row[], passes: boolean): boolean {
  return rows.length > 0 && rows.every(isExact) && passedBy(rows).bytes > 0 === passes;
}

function passedBy(rows: readonly Row[]) {
  const sum = (unit: 'bytes' | 'packets') => rows.reduce((total, row) => total + (row.passedBy?.[unit] ?? 0), 0);
  return { bytes: sum('bytes'), packets: sum('packets') };
}

function closingLine(rows: readonly Row[], passes: boolean, source: OnceOptions['source']): string {
  const passedWhat = source === 'ebpf' ? 'sockets' : 'conntrack';
  const passed = passedBy(rows);
  const wrong = rows.filter((row) => !isExact(row)).length;
  const bytes = rows.reduce((sum, row) => sum + row.bytes.kernel, 0);
  const packets = rows.reduce((sum, row) => sum + row.packets.kernel, 0);
  const amount = `${rows.length / 2} pairs in both directions, ${readableCount(bytes)} bytes, ${readableCount(packets)} packets`;
  if (rows.length === 0) return 'FAILED: nothing was counted';
  if (wrong > 0) return `FAILED: ${amount}, ${wrong} of ${rows.length} rows differ`;
  if (!isGood(rows, passes)) return `FAILED: ${amount}, nothing passed by`;
  const bound = `${readableCount(passed.bytes)} bytes and ${readableCount(passed.packets)} packets passed ${passedWhat} by`;
  return `EXACT: ${amount}${passes ? `, of which ${bound}; beyond these` : ','} every difference is zero`;
}
