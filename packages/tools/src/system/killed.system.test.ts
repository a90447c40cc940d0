import { setTimeout as pause } from 'node:timers/promises';
import { isExact, type Row } from '@egressd/world/daemons/comparison';
import { type Daemons, type DaemonsOptions, startDaemons } from '@egressd/world/daemons/daemons';
import { waitForStandstill } from '@egressd/world/daemons/standstill';
import { NODES } from '@egressd/world/network/layout';
import { openWorld, type World } from '@egressd/world/network/world';
import { loadReference } from '@egressd/world/reference/reference';
import { carryOut, lastingPlan, wholePlan } from '@egressd/world/traffic/plan';
import { seededRandom } from '@egressd/world/traffic/random';
import { afterEach, beforeEach, expect, test } from '@jest/globals';

const LIMIT_MS = 180_000;
/** Traffic takes about two and a half seconds: some of it is before, some after. */
const MIDST_MS = 1200;
/** Several reads and exports. */
const SOME_INTERVALS_MS = 4000;
const KILLS = 5;
/** Nobody reads by the clock within a test. */
const NEVER = '1h';

let world: World;
let daemons: Daemons | undefined;

beforeEach(async () => {
  world = await openWorld();
  for (const { name } of NODES) await loadReference(world, name);
}, LIMIT_MS);

afterEach(async () => {
  await daemons?.stop();
  daemons = undefined;
  await world.close();
}, LIMIT_MS);

async function start(options: Partial<DaemonsOptions> = {}): Promise<Daemons> {
  daemons = await startDaemons(world, { owners: 'inventory', ...options });
  return daemons;
}

/** @param seed another one, another amount */
async function move(seed: number): Promise<void> {
  await carryOut(wholePlan(seededRandom(seed)), world.agent);
}

/** What the database has too much or too little; that something is there at all is a condition of its own. */
function wrong(rows: readonly Row[]): readonly Row[] {
  expect(rows.length).toBeGreaterThan(100);
  return rows.filter((row) => !isExact(row));
}

test(
  'an exporter that is killed while its database is away: what nobody had accepted comes again, once',
  async () => {
    const running = await start();
    const { database, exporter } = running;
    await move(1);
    expect(wrong(await waitForStandstill(world, running))).toEqual([]);

    // Nothing is accepted from here on, so nothing is committed. A stopped process would not do: what lies in its socket's buffer is
    // stored when it goes on, though the exporter that sent it is dead.
    expect(await database.end()).toBe(0);
    const moving = move(2);
    await pause(MIDST_MS);
    expect(await exporter.end('SIGKILL')).toBe('SIGKILL');
    await pause(MIDST_MS);
    await exporter.start();
    await moving;
    await database.start();
    expect(wrong(await waitForStandstill(world, running))).toEqual([]);
  },
  LIMIT_MS,
);

test(
  'a collector that is told to end reads once more, and what it read arrives',
  async () => {
    // It reads at its start and at its end: nothing arrives but by its last batch.
    const running = await start({ readInterval: NEVER });
    await move(3);
    const ends = await Promise.all(running.collectors.map((collector) => collector.end()));
    // 0: in order, and in time. It says 1 itself where it takes longer than 10 s, and later it is killed.
    expect(ends).toEqual(NODES.map(() => 0));
    expect(wrong(await waitForStandstill(world, running))).toEqual([]);
  },
  LIMIT_MS,
);

test(
  'collectors that are killed again and again go on where they were',
  async () => {
    const running = await start({ stateDirectories: true });
    for (let kill = 1; kill <= KILLS; kill++) {
      // What ends while no collector listens is lost: that is the exception that the README names.
      const moving = carryOut(lastingPlan(seededRandom(10 + kill)), world.agent);
      await pause((kill / KILLS) * 2 * MIDST_MS);
      const { collectors } = running;
      expect(await Promise.all(collectors.map((collector) => collector.end('SIGKILL')))).toEqual(
        NODES.map(() => 'SIGKILL'),
      );
      await Promise.all(collectors.map((collector) => collector.start()));
      await moving;
    }
    expect(wrong(await waitForStandstill(world, running))).toEqual([]);
  },
  LIMIT_MS,
);

test(
  'what a collector could not deliver before it was killed is delivered by the next',
  async () => {
    const running = await start({ stateDirectories: true });
    const { exporter, collectors } = running;
    expect(await exporter.end('SIGKILL')).toBe('SIGKILL');
    await move(20);
    await pause(SOME_INTERVALS_MS);
    // Told to end, a collector hands over what it read last, to its directory if to nobody else.
    await Promise.all(collectors.map((collector) => collector.end()));
    await exporter.start();
    await Promise.all(collectors.map((collector) => collector.start()));
    expect(wrong(await waitForStandstill(world, running))).toEqual([]);
  },
  LIMIT_MS,
);

test(
  'a database that stands still costs resolution, never bytes',
  async () => {
    const running = await start();
    const moving = move(4);
    await pause(MIDST_MS);
    running.database.signal('SIGSTOP');
    await moving;
    await pause(SOME_INTERVALS_MS);
    running.database.signal('SIGCONT');
    expect(wrong(await waitForStandstill(world, running))).toEqual([]);
  },
  LIMIT_MS,
);
