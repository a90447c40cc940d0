/**
 * The demo: real connections between pods of two nodes, counted by the kernel, read by a collector on each node, interpreted by
 * one exporter, and kept in a database that everybody has.
 *
 *   npm run demo                     a live table until Ctrl-C
 *   npm run demo -- --once           a fixed amount, compared with the kernel to the byte; fails unless all is exact
 *   npm run demo -- --once --seed 7  another amount
 */
import { parseArgs } from 'node:util';
import { loadReference } from '../reference/reference.ts';
import { NODES } from '../world/layout.ts';
import { openWorld, type World } from '../world/world.ts';
import { startDaemons } from './daemons.ts';
import { runLive } from './live.ts';
import { runOnce } from './once.ts';

const USAGE = `npm run demo                        a live table of real traffic, until Ctrl-C
npm run demo -- --once [--seed N]   a fixed amount, compared with the kernel to the byte`;

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
/** 128 + SIGINT. */
const EXIT_INTERRUPTED = 130;
const MAX_SEED = 2 ** 32 - 1;

interface Options {
  readonly once: boolean;
  readonly seed: number;
}

/** @returns what to do, or what is wrong with the arguments */
function readOptions(args: string[]): Options | string {
  try {
    const options = {
      once: { type: 'boolean' },
      seed: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    } as const;
    const { once = false, seed = '1', help } = parseArgs({ args, options }).values;
    if (help) return '';
    if (!/^\d{1,10}$/.test(seed) || Number(seed) > MAX_SEED) return `--seed: expected a number from 0 to ${MAX_SEED}`;
    return { once, seed: Number(seed) };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** What happens in the world, from the first daemon to the last. @returns the exit code */
async function show(world: World, { once, seed }: Options, stop: AbortSignal): Promise<number> {
  for (const { name } of NODES) await loadReference(world, name);
  say('starting the database, the exporter and a collector on each node');
  const daemons = await startDaemons(world);
  try {
    if (once)
      return (await runOnce(world, daemons, seed, (line) => process.stdout.write(`${line}\n`))) ? 0 : EXIT_FAILED;
    await runLive(world, daemons, seed, stop);
    return 0;
  } finally {
    say('ending everything');
    await daemons.stop();
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Resolves once somebody wants it to end. The second time it ends at once: what is left goes with the next start. */
function untilTold(): { signal: AbortSignal; told: Promise<number> } {
  const controller = new AbortController();
  const { promise: told, resolve } = Promise.withResolvers<number>();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED);
      controller.abort();
      resolve(EXIT_INTERRUPTED);
    });
  return { signal: controller.signal, told };
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (typeof options === 'string') {
    say(options === '' ? USAGE : `demo: ${options}\n${USAGE}`);
    return options === '' ? 0 : EXIT_USAGE;
  }
  const { signal, told } = untilTold();
  say('building two nodes with six pods, a gateway and an internet in network namespaces');
  const world = await openWorld();
  try {
    const work = show(world, options, signal);
    // The live table ends by itself when told, in order; a comparison is given up.
    const code = await (options.once ? Promise.race([work, told]) : work);
    if (signal.aborted) work.catch(() => {});
    return code;
  } finally {
    await world.close();
  }
}

main().then(
  (code) => process.exit(code),
  (error) => {
    say(`demo: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(EXIT_FAILED);
  },
);
