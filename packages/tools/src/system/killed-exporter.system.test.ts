import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isExact, type Row } from '@egressd/world/daemons/comparison';
import { type Daemons, startDaemons, stateFolder } from '@egressd/world/daemons/daemons';
import { waitForStandstill } from '@egressd/world/daemons/standstill';
import { NODES } from '@egressd/world/network/layout';
import { openWorld, type World } from '@egressd/world/network/world';
import { loadReference } from '@egressd/world/reference/reference';
import { carryOut, wholePlan } from '@egressd/world/traffic/plan';
import { seededRandom } from '@egressd/world/traffic/random';
import { afterEach, beforeEach, expect, test } from '@jest/globals';

const LIMIT_MS = 300_000;
const KILLS = 10;
/** An export interval is a second: within it every step of one comes. */
const LONGEST_LIFE_MS = 2500;
/** Several exports that fail. */
const FULL_MS = 4000;
const ASK_AGAIN_MS = 500;
/** At the beginning of a line: the metric's help begins the same way. */
const STREAMS = '\negressd_collector_stream_connected 1';

let world: World;
let daemons: Daemons | undefined;
let mounted: string | undefined;

beforeEach(async () => {
  world = await openWorld();
  for (const { name } of NODES) await loadReference(world, name);
}, LIMIT_MS);

afterEach(async () => {
  await daemons?.stop();
  daemons = undefined;
  if (mounted !== undefined) execFileSync('umount', [mounted]);
  mounted = undefined;
  await world.close();
}, LIMIT_MS);

async function start(...exporterFlags: string[]): Promise<Daemons> {
  daemons = await startDaemons(world, { owners: 'inventory', stateDirectories: true, exporterFlags });
  return daemons;
}

/** Moves bytes, one fixed amount after the other, until the work is done. */
async function moveDuring(work: Promise<unknown>): Promise<void> {
  let done = false;
  const ended = work.finally(() => {
    done = true;
  });
  for (let seed = 1; !done; seed++) await carryOut(wholePlan(seededRandom(seed)), world.agent);
  await ended;
}

/** After many failures a collector takes its time to come back: until then nothing moves. */
async function untilAllStream(): Promise<void> {
  const url = 'http://127.0.0.1:8008/metrics';
  for (const { name } of NODES) {
    const streams = async () => (await world.agent(name).order({ do: 'http', url })).body?.includes(STREAMS);
    while (!(await streams())) await pause(ASK_AGAIN_MS);
  }
}

/** What the database has too much or too little; that something is there at all is a condition of its own. */
function wrong(rows: readonly Row[]): readonly Row[] {
  expect(rows.length).toBeGreaterThan(100);
  return rows.filter((row) => !isExact(row));
}

async function killAgainAndAgain({ exporter }: Daemons, times: number): Promise<void> {
  const seed = Date.now();
  process.stderr.write(`moments of the kills: seed ${seed}\n`);
  const random = seededRandom(seed);
  for (let kill = 0; kill < times; kill++) {
    await pause(random.between(0, LONGEST_LIFE_MS));
    expect(await exporter.end('SIGKILL')).toBe('SIGKILL');
    await exporter.start();
  }
}

test.each<[string, string[]]>([
  ['a state directory', []],
  ['one that goes with the pod', ['-state-ephemeral']],
])(
  'an exporter with %s is killed again and again in the midst of traffic: every byte is there once',
  async (_name, flags) => {
    const running = await start(...flags);
    await moveDuring(killAgainAndAgain(running, KILLS));
    await untilAllStream();
    expect(wrong(await waitForStandstill(world, running))).toEqual([]);
  },
  LIMIT_MS,
);

test(
  'a disk that is full stops the hand-over, not the counting, whatever happens meanwhile',
  async () => {
    mounted = stateFolder(world, 'exporter');
    mkdirSync(mounted, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'egressd-test', mounted]);
    const running = await start();
    const ballast = join(mounted, 'ballast');
    const fillAndKill = async () => {
      await pause(LONGEST_LIFE_MS);
      expect(() => writeFileSync(ballast, Buffer.alloc(2 ** 21))).toThrow('ENOSPC');
      await pause(FULL_MS);
      expect(await running.exporter.end('SIGKILL')).toBe('SIGKILL');
      await running.exporter.start();
      await pause(FULL_MS);
      rmSync(ballast);
    };
    await moveDuring(fillAndKill());
    await untilAllStream();
    expect(wrong(await waitForStandstill(world, running))).toEqual([]);
  },
  LIMIT_MS,
);
