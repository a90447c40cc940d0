import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { NODE } from '@egressd/world/daemons/daemon-command';
import { stopProcess } from '@egressd/world/network/commands';
import { HOSTS } from '@egressd/world/network/layout';
import type { World } from '@egressd/world/network/world';
import type { Done, Row, Target } from './row.ts';

const PROGRAM = fileURLToPath(new URL('./attack-process.ts', import.meta.url));
const STOP_LIMIT_MS = 30_000;
/** A pod of the node where the exporter is not. */
const FROM = ['cart-2'];

/** Addresses of the hosts that attack. */
export function attackersOf({ from = FROM }: Row): ReadonlySet<string> {
  return new Set(HOSTS.filter(({ name }) => from.includes(name)).flatMap(({ address }) => Object.values(address)));
}

/** An attack that goes on. */
export interface Attack {
  /** It has begun on every host. */
  readonly begun: Promise<unknown>;
  /** @returns what it did */
  stop(): Promise<Done>;
}

/** Starts the attack on each of its hosts. They are other machines in a cluster: here they get less of the processors than the daemons. */
export function startAttack(world: World, row: Row, target: Target): Attack {
  const processes = (row.from ?? FROM).map((host) => {
    const args = ['-n', '5', ...NODE, PROGRAM, row.name, JSON.stringify(target)];
    const child = world.spawn(host, 'nice', args, { stdio: 'pipe' });
    return {
      child,
      lines: createInterface({ input: child.stdout! })[Symbol.asyncIterator](),
      errors: text(child.stderr!),
    };
  });
  const lineOf = async ({ lines, errors }: (typeof processes)[number]): Promise<string> => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`the attack has failed: ${(await errors).slice(-2000)}`);
    return value;
  };
  return {
    begun: Promise.all(processes.map(lineOf)),
    async stop() {
      await Promise.all(processes.map(({ child }) => stopProcess(child, STOP_LIMIT_MS)));
      const lines = await Promise.all(processes.map(lineOf));
      return lines.map((line) => JSON.parse(line) as Done).reduce(sumOf, {});
    },
  };
}

function sumOf(sum: Done, done: Done): Done {
  const names = new Set([...Object.keys(sum), ...Object.keys(done)]);
  return Object.fromEntries([...names].map((name) => [name, (sum[name] ?? 0) + (done[name] ?? 0)]));
}
