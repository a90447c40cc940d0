import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Daemons, stateFolder } from '@egressd/world/daemons/daemons';
import { NODES } from '@egressd/world/network/layout';
import { carryOut, wholePlan } from '@egressd/world/traffic/plan';
import { seededRandom } from '@egressd/world/traffic/random';
import { expect, test } from '@jest/globals';
import { useExactWorld } from './exact-world.ts';

const LIMIT_MS = 300_000;
const KILLS = 10;
/** An export interval is a second: within it every step of one comes. */
const LONGEST_LIFE_MS = 2500;
/** Several exports that fail. */
const FULL_MS = 4000;
const ASK_AGAIN_MS = 500;
/** At the beginning of a line: the metric's help begins the same way. */
const STREAMS = '\negressd_collector_stream_connected 1';

let mounted: string | undefined;

const exact = useExactWorld(LIMIT_MS, () => {
  if (mounted !== undefined) execFileSync('umount', [mounted]);
  mounted = undefined;
});

function start(...exporterFlags: string[]): Promise<Daemons> {
  return exact.start({ stateDirectories: true, exporterFlags });
}

/** Moves bytes, one fixed amount after the other, until the work is done. */
async function moveDuring(work: Promise<unknown>): Promise<void> {
  let done = false;
  const ended = work.finally(() => {
    done = true;
  });
  for (let seed = 1; !done; seed++) await carryOut(wholePlan(seededRandom(seed)), exact.world.agent);
  await ended;
}

/** After many failures a collector backs off: until it is back nothing moves. */
async function untilAllStream(): Promise<void> {
  const url = 'http://127.0.0.1:8008/metrics';
  for (const { name } of NODES) {
    const streams = async () => (await exact.world.agent(name).order({ do: 'http', url })).body?.includes(STREAMS);
    while (!(await streams())) await pause(ASK_AGAIN_MS);
  }
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
    await exact.expectExact();
  },
  LIMIT_MS,
);

test(
  'a disk that is full stops the hand-over, not the counting, whatever happens meanwhile',
  async () => {
    mounted = stateFolder(exact.world, 'exporter');
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
    await exact.expectExact();
  },
  LIMIT_MS,
);
