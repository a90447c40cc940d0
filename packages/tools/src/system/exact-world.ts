import { isExact } from '@egressd/world/daemons/comparison';
import { type Daemons, type DaemonsOptions, startDaemons } from '@egressd/world/daemons/daemons';
import { waitForStandstill } from '@egressd/world/daemons/standstill';
import { NODES } from '@egressd/world/network/layout';
import { openWorld, type World } from '@egressd/world/network/world';
import { loadReference } from '@egressd/world/reference/reference';
import { afterEach, beforeEach, expect } from '@jest/globals';

/** Pairs in both directions that the traffic of a test makes at least: a comparison of nothing with nothing would be exact too. */
const LEAST_ROWS = 100;

/** A world for each test of a file, whose nodes count what the daemons have to report. */
interface ExactWorld {
  readonly world: World;
  /** Starts the daemons of this test; they end with it. */
  start(options?: Partial<DaemonsOptions>): Promise<Daemons>;
  /** Waits until all has arrived: the database must have every byte and packet of the reference, once. */
  expectExact(): Promise<void>;
}

/** @param cleanUp what a test leaves behind the daemons, called once they have ended */
export function useExactWorld(limitMs: number, cleanUp: () => void = () => {}): ExactWorld {
  let world: World;
  let daemons: Daemons | undefined;

  beforeEach(async () => {
    world = await openWorld();
    for (const { name } of NODES) await loadReference(world, name);
  }, limitMs);

  afterEach(async () => {
    await daemons?.stop();
    daemons = undefined;
    cleanUp();
    await world.close();
  }, limitMs);

  return {
    get world() {
      return world;
    },
    async start(options = {}) {
      daemons = await startDaemons(world, { owners: 'inventory', ...options });
      return daemons;
    },
    async expectExact() {
      const rows = await waitForStandstill(world, daemons!);
      expect(rows.length).toBeGreaterThan(LEAST_ROWS);
      expect(rows.filter((row) => !isExact(row))).toEqual([]);
    },
  };
}
