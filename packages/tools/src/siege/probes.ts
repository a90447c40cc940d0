import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { NODE } from '@egressd/world/daemons/daemon-command';
import { stopProcess } from '@egressd/world/network/commands';
import type { World } from '@egressd/world/network/world';

const PROGRAM = fileURLToPath(new URL('./probe-process.ts', import.meta.url));
const STOP_LIMIT_MS = 2_000;

/** What the probes of one daemon came to. */
export interface Probed {
  readonly asked: number;
  readonly answered: number;
  /** Longest time to an answer, or to giving up. */
  readonly longestMs: number;
}

/** Nothing asked yet. */
export const NOT_PROBED: Probed = { asked: 0, answered: 0, longestMs: 0 };

/** One more line of the program. */
export function withAnswer({ asked, answered, longestMs }: Probed, line: string): Probed {
  const [status, ms] = line.split(' ').map(Number);
  return {
    asked: asked + 1,
    answered: answered + (status === 200 ? 1 : 0),
    longestMs: Math.max(longestMs, ms!),
  };
}

/** Of several daemons, as one. */
export function together(all: readonly Probed[]): Probed {
  return all.reduce(
    (sum, each) => ({
      asked: sum.asked + each.asked,
      answered: sum.answered + each.answered,
      longestMs: Math.max(sum.longestMs, each.longestMs),
    }),
    NOT_PROBED,
  );
}

/** Probes a daemon from a host of the world until it is stopped. */
export function startProbes(world: World, host: string, url: string): { stop(): Promise<Probed> } {
  const child = world.spawn(host, NODE[0]!, [...NODE.slice(1), PROGRAM, url], { stdio: 'pipe' });
  let probed = NOT_PROBED;
  createInterface({ input: child.stdout! }).on('line', (line) => {
    probed = withAnswer(probed, line);
  });
  return {
    async stop() {
      await stopProcess(child, STOP_LIMIT_MS);
      return probed;
    },
  };
}
