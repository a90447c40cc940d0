import { setTimeout as pause } from 'node:timers/promises';
import { NODES } from '@egressd/world/network/layout';
import { carryOut, lastingPlan, wholePlan } from '@egressd/world/traffic/plan';
import { seededRandom } from '@egressd/world/traffic/random';
import { expect, test } from '@jest/globals';
import { useExactWorld } from './exact-world.ts';

const LIMIT_MS = 180_000;
/** Traffic takes about two and a half seconds: some of it is before, some after. */
const MIDST_MS = 1200;
/** Several reads and exports. */
const SOME_INTERVALS_MS = 4000;
const KILLS = 5;
/** No collector reads by the clock within a test. */
const NEVER = '1h';

const exact = useExactWorld(LIMIT_MS);

/** @param seed another one, another amount */
async function move(seed: number): Promise<void> {
  await carryOut(wholePlan(seededRandom(seed)), exact.world.agent);
}

test(
  'an exporter that is killed while its database is down: what was not committed is sent again, once',
  async () => {
    const running = await exact.start();
    const { database, exporter } = running;
    await move(1);
    await exact.expectExact();

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
    await exact.expectExact();
  },
  LIMIT_MS,
);

test(
  'a collector that is ended (SIGTERM) reads once more, and what it read arrives',
  async () => {
    // It reads at its start and at its end: nothing arrives but by its last batch.
    const running = await exact.start({ readInterval: NEVER });
    await move(3);
    const ends = await Promise.all(running.collectors.map((collector) => collector.end()));
    // 0: in order, and in time. It says 1 itself where it takes longer than 10 s, and later it is killed.
    expect(ends).toEqual(NODES.map(() => 0));
    await exact.expectExact();
  },
  LIMIT_MS,
);

test(
  'collectors that are killed again and again continue where they were',
  async () => {
    const running = await exact.start({ stateDirectories: true });
    for (let kill = 1; kill <= KILLS; kill++) {
      // Connections that end while no collector runs are lost: that is the exception that the documents name.
      const moving = carryOut(lastingPlan(seededRandom(10 + kill)), exact.world.agent);
      await pause((kill / KILLS) * 2 * MIDST_MS);
      const { collectors } = running;
      expect(await Promise.all(collectors.map((collector) => collector.end('SIGKILL')))).toEqual(
        NODES.map(() => 'SIGKILL'),
      );
      await Promise.all(collectors.map((collector) => collector.start()));
      await moving;
    }
    await exact.expectExact();
  },
  LIMIT_MS,
);

test(
  'what a collector could not deliver before it was killed is delivered by the next',
  async () => {
    const running = await exact.start({ stateDirectories: true });
    const { exporter, collectors } = running;
    expect(await exporter.end('SIGKILL')).toBe('SIGKILL');
    await move(20);
    await pause(SOME_INTERVALS_MS);
    // At its end a collector hands over what it read last: without an exporter, to its directory.
    await Promise.all(collectors.map((collector) => collector.end()));
    await exporter.start();
    await Promise.all(collectors.map((collector) => collector.start()));
    await exact.expectExact();
  },
  LIMIT_MS,
);

test(
  'a database that stands still costs resolution, never bytes',
  async () => {
    const running = await exact.start();
    const moving = move(4);
    await pause(MIDST_MS);
    running.database.signal('SIGSTOP');
    await moving;
    await pause(SOME_INTERVALS_MS);
    running.database.signal('SIGCONT');
    await exact.expectExact();
  },
  LIMIT_MS,
);
