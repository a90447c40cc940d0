import { setTimeout as pause } from 'node:timers/promises';
import type { Daemons } from '@egressd/world/daemons/daemons';
import type { Random } from '@egressd/world/traffic/random';
import type { Link } from '../truth/faults/link.ts';

/** Longest that something stays broken. */
const MAX_BROKEN_MS = 8000;
/** From one trouble to the next: the first is over and caught up with. */
const REST_MS = { least: 4000, most: 15_000 };

/** Something that goes wrong, and is mended. The exporter and the first node's collector live through all of it: they are measured. */
interface Trouble {
  readonly name: string;
  happen(stage: Stage): Promise<void>;
}

/** What troubles work on. */
export interface Stage {
  readonly daemons: Daemons;
  readonly link: Link;
  readonly random: Random;
}

const TROUBLES: readonly Trouble[] = [
  {
    name: 'database stands still',
    async happen({ daemons: { database }, random }) {
      database.signal('SIGSTOP');
      await pause(random.between(1000, MAX_BROKEN_MS));
      database.signal('SIGCONT');
    },
  },
  {
    name: 'database restarts',
    async happen({ daemons: { database } }) {
      await database.end();
      await database.start();
    },
  },
  {
    name: 'collector of the second node killed',
    async happen({ daemons: { collectors }, random }) {
      await collectors[1]!.end('SIGKILL');
      await pause(random.between(0, MAX_BROKEN_MS));
      await collectors[1]!.start();
    },
  },
  ...(['cut', 'half-open', 'lossy', 'reset'] as const).map((fault) => ({
    name: `stream ${fault}`,
    async happen({ link, random }: Stage) {
      await link.break(fault);
      await pause(random.between(1000, MAX_BROKEN_MS));
      await link.mend();
    },
  })),
];

/** One trouble after the other until told to stop, none half mended. @returns how often each happened */
export async function makeTrouble(stage: Stage, stop: AbortSignal): Promise<ReadonlyMap<string, number>> {
  const happened = new Map<string, number>();
  while (!stop.aborted) {
    const trouble = stage.random.pick(TROUBLES);
    await trouble.happen(stage);
    happened.set(trouble.name, (happened.get(trouble.name) ?? 0) + 1);
    const rest = stage.random.between(REST_MS.least, REST_MS.most);
    await pause(rest, undefined, { signal: stop }).catch(() => {});
  }
  return happened;
}
