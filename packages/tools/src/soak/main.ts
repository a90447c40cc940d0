/**
 * The soak: traffic, churn and faults for as long as asked: memory must stay what it is, and no byte be lost.
 *
 *   npm run soak -- 30            for thirty minutes
 *   npm run soak -- 30 --seed 7   other traffic and faults
 */
import { randomInt } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { isExact } from '@egressd/world/daemons/comparison';
import { type Daemons, startDaemons } from '@egressd/world/daemons/daemons';
import { waitForStandstill } from '@egressd/world/daemons/standstill';
import { NODES } from '@egressd/world/network/layout';
import { openWorld, type World } from '@egressd/world/network/world';
import { loadReference } from '@egressd/world/reference/reference';
import { seededRandom } from '@egressd/world/traffic/random';
import { linkOf } from '../truth/faults/link.ts';
import { LiveTraffic } from '../truth/live-traffic.ts';
import { injectFaults } from './faults.ts';
import { type Growth, MemoryWatch } from './memory.ts';

const USAGE = 'npm run soak -- MINUTES [--seed N]';
const MAX_MINUTES = 7 * 24 * 60;
const MAX_SEED = 2 ** 32 - 1;
const MINUTE_MS = 60_000;
/** Pods come and go, watches break. */
const DISTURB_MS = 20_000;
/** A sink that failed in the last fault may back off for half a minute. */
const LATE_MS = 45_000;
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

interface Options {
  readonly minutes: number;
  readonly seed: number;
}

/** @returns undefined where the arguments are wrong */
function readOptions(args: string[]): Options | undefined {
  try {
    const options = { seed: { type: 'string' } } as const;
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const minutes = Number(positionals[0]);
    const seed = Number(values.seed ?? randomInt(MAX_SEED));
    const good = positionals.length === 1 && minutes > 0 && minutes <= MAX_MINUTES;
    return good && Number.isInteger(seed) && seed >= 0 && seed <= MAX_SEED ? { minutes, seed } : undefined;
  } catch {
    return undefined;
  }
}

/** @returns whether memory was flat and every byte arrived */
async function soak(world: World, daemons: Daemons, { minutes, seed }: Options): Promise<boolean> {
  const [first] = daemons.collectors;
  const watch = new MemoryWatch({ exporter: daemons.exporter.pid!, collector: first!.pid! });
  const traffic = new LiveTraffic(world, seed);
  traffic.start();
  const stop = new AbortController();
  const faults = injectFaults({ daemons, link: linkOf(world), random: seededRandom(seed) }, stop.signal);
  const churn = setInterval(() => daemons.apiServer?.writeLine('disturb'), DISTURB_MS);
  const failed = Promise.race([daemons.failed, traffic.broken, faults.then(() => new Promise<never>(() => {}))]);
  try {
    for (let minute = 1; minute <= minutes; minute++) {
      await Promise.race([failed, pause(MINUTE_MS)]);
      say(`minute ${minute}: ${watch.now}, ${traffic.transfers} transfers`);
    }
  } finally {
    clearInterval(churn);
    stop.abort();
    await traffic.stop();
  }
  for (const [name, times] of await faults) say(`${name}: ${times} times`);
  const growths = watch.stop();
  for (const growth of growths) say(lineOf(growth));
  return (await isAllThere(world, daemons)) && !growths.some(({ grows }) => grows);
}

function lineOf({ name, trend, grows }: Growth): string {
  const { median, perHour, leastPerHour, mostPerHour } = trend;
  const slope = `${perHour.toFixed(2)} MiB an hour (95 %: ${leastPerHour.toFixed(2)} to ${mostPerHour.toFixed(2)})`;
  return `${name}: ${median.toFixed(1)} MiB after warm-up, slope ${slope}: ${grows ? 'GROWS' : 'flat'}`;
}

async function isAllThere(world: World, daemons: Daemons): Promise<boolean> {
  const rows = await Promise.race([daemons.failed, waitForStandstill(world, daemons, { lateMs: LATE_MS })]);
  const wrong = rows.filter((row) => !isExact(row));
  const bytes = rows.reduce((sum, row) => sum + row.bytes.kernel, 0);
  say(`${rows.length / 2} pairs in both directions, ${bytes} bytes: ${wrong.length} of ${rows.length} rows differ`);
  for (const row of wrong) say(`DIFFERENT ${JSON.stringify(row)}`);
  return rows.length > 0 && wrong.length === 0;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    say(USAGE);
    return EXIT_USAGE;
  }
  say(`seed ${options.seed}, ${options.minutes} minutes`);
  const world = await openWorld();
  // Interrupted, it leaves nothing behind.
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void world.close().finally(() => process.exit(EXIT_FAILED)));
  try {
    for (const { name } of NODES) await loadReference(world, name);
    const daemons = await startDaemons(world, { owners: 'kubernetes', stateDirectories: true });
    try {
      return (await soak(world, daemons, options)) ? 0 : EXIT_FAILED;
    } finally {
      await daemons.stop();
    }
  } finally {
    await world.close();
  }
}

process.exitCode = await main();
