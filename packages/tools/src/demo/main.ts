/**
 * The demo: real connections between pods of two nodes, counted by the kernel, read by a collector on each node, enriched by
 * one exporter, and stored in a database.
 *
 *   npm run demo                     a live table until Ctrl-C
 *   npm run demo -- --once           a fixed amount, compared with the kernel to the byte; fails unless all is exact
 *   npm run demo -- --once --seed 7  another amount
 *   ... --world NAME                 another network below the same cluster: `world/src/network/kinds.ts` has them
 *   ... --source ebpf                counted at the sockets of each node instead of read from conntrack
 *   ... --images                     both daemons in containers, from images of this checkout, as the Helm chart installs them
 *   ... --kubernetes                 pods and nodes from a Kubernetes API server (a stand-in) instead of an inventory file
 */
import { parseArgs } from 'node:util';
import { type Chosen, type Daemons, type OwnersFrom, startDaemons } from '@egressd/world/daemons/daemons';
import { ebpfEnvironment } from '@egressd/world/daemons/ebpf-flags';
import { isWorldKind, WORLD_KINDS, type WorldKind } from '@egressd/world/network/kinds';
import { openWorld, type World } from '@egressd/world/network/world';
import { loadReference } from '@egressd/world/reference/reference';
import { buildImages } from '../images/build.ts';
import { installation } from '../images/installation.ts';
import { EXIT_INTERRUPTED, interruptSignal } from '../interrupt.ts';
import { runLive } from './live.ts';
import { runOnce } from './once.ts';
import { waitForStreams } from './streams.ts';

const USAGE = `npm run demo                        a live table of real traffic, until Ctrl-C
npm run demo -- --once [--seed N]   a fixed amount, compared with the kernel to the byte
  --world NAME                      with either: another network below the same cluster: ${WORLD_KINDS.join(', ')}
  --kubernetes                      with either: pods and nodes come from a Kubernetes API server (a stand-in), not from a file
  --source netfilter|ebpf           with either: where collectors count; ebpf: at the sockets of their node
  --images                          with either: both daemons run in containers, as the Helm chart installs them`;

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const MAX_SEED = 2 ** 32 - 1;

interface Options {
  readonly once: boolean;
  readonly seed: number;
  readonly kind: WorldKind;
  readonly owners: OwnersFrom;
  readonly images: boolean;
  readonly source: Source;
}

const SOURCES = ['netfilter', 'ebpf'] as const;
type Source = (typeof SOURCES)[number];

/** @returns what to do, or what is wrong with the arguments */
function readOptions(args: string[]): Options | string {
  try {
    const options = {
      once: { type: 'boolean' },
      seed: { type: 'string' },
      world: { type: 'string' },
      kubernetes: { type: 'boolean' },
      images: { type: 'boolean' },
      source: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    } as const;
    const { values } = parseArgs({ args, options });
    const {
      once = false,
      seed = '1',
      world: kind = 'routed',
      kubernetes = false,
      images = false,
      source: named = 'netfilter',
      help,
    } = values;
    if (help) return '';
    if (!isWorldKind(kind)) return `--world: expected one of ${WORLD_KINDS.join(', ')}`;
    if (!/^\d{1,10}$/.test(seed) || Number(seed) > MAX_SEED) return `--seed: expected a number from 0 to ${MAX_SEED}`;
    const source = SOURCES.find((each) => each === named);
    if (source === undefined) return `--source: expected one of ${SOURCES.join(', ')}`;
    if (source === 'ebpf' && images) return '--source ebpf: not with --images';
    return {
      once,
      seed: Number(seed),
      kind,
      source,
      owners: kubernetes || images ? 'kubernetes' : 'inventory',
      images,
    };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** What happens in the world, from the first daemon to the last. @returns the exit code */
async function show(world: World, { once, seed, owners, images, source }: Options, stop: AbortSignal): Promise<number> {
  for (const { name } of world.layout.nodes) await loadReference(world, name);
  say('starting the database, the exporter and a collector on each node');
  const install = (chosen: Chosen) => installation(world, chosen);
  const environment = (daemon: string) => ebpfEnvironment(world, daemon);
  const daemons = await startDaemons(world, {
    owners,
    ...(images ? { install } : {}),
    ...(source === 'ebpf' ? { environment } : {}),
  });
  try {
    say(`all collectors stream, ${(await waitForStreams(world, daemons)).toFixed(1)} s after their start`);
    // A comparison that is interrupted is abandoned; the live table ends by itself.
    if (once) return await Promise.race([interrupted(stop), compareOnce(world, daemons, seed, source)]);
    await runLive(world, daemons, seed, stop);
    return 0;
  } finally {
    say('ending everything');
    await daemons.stop();
  }
}

async function compareOnce(world: World, daemons: Daemons, seed: number, source: Source): Promise<number> {
  const exact = await runOnce(world, daemons, { seed, source }, (line) => process.stdout.write(`${line}\n`));
  return exact ? 0 : EXIT_FAILED;
}

/** The exit code of an interrupted program, once it is. */
function interrupted(stop: AbortSignal): Promise<number> {
  return new Promise((resolve) => {
    if (stop.aborted) return resolve(EXIT_INTERRUPTED);
    stop.addEventListener('abort', () => resolve(EXIT_INTERRUPTED), { once: true });
  });
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (typeof options === 'string') {
    say(options === '' ? USAGE : `demo: ${options}\n${USAGE}`);
    return options === '' ? 0 : EXIT_USAGE;
  }
  const stop = interruptSignal();
  if (options.images) await buildImages({ say });
  say('building two nodes with six pods, a gateway and an internet in network namespaces');
  const world = await openWorld({ kind: options.kind, cgroups: options.source === 'ebpf' });
  try {
    return await show(world, options, stop);
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
