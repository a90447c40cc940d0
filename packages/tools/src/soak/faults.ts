import { setTimeout as pause } from 'node:timers/promises';
import type { Daemons } from '@egressd/world/daemons/daemons';
import type { Random } from '@egressd/world/traffic/random';
import type { Link } from '../truth/faults/link.ts';

/** Longest that something stays broken. */
const MAX_BROKEN_MS = 8000;
/** From one fault to the next: the daemons have caught up with the first. */
const REST_MS = { least: 4000, most: 15_000 };

/** A fault, and its end. The exporter and the first node's collector live through all of it: they are measured. */
interface SoakFault {
  readonly name: string;
  happen(stage: Stage): Promise<void>;
}

/** What faults work on. */
export interface Stage {
  readonly daemons: Daemons;
  readonly link: Link;
  readonly random: Random;
}

const FAULTS: readonly SoakFault[] = [
  {
    name: 'database stopped',
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
  ...(['cut', 'half-open', 'lossy', 'reset'] as const).map((linkFault) => ({
    name: `stream ${linkFault}`,
    async happen({ link, random }: Stage) {
      await link.break(linkFault);
      await pause(random.between(1000, MAX_BROKEN_MS));
      await link.mend();
    },
  })),
];

/** One fault after the other until `stop`, each to its end. @returns how often each happened */
export async function injectFaults(stage: Stage, stop: AbortSignal): Promise<ReadonlyMap<string, number>> {
  const happened = new Map<string, number>();
  while (!stop.aborted) {
    const fault = stage.random.pick(FAULTS);
    await fault.happen(stage);
    happened.set(fault.name, (happened.get(fault.name) ?? 0) + 1);
    const rest = stage.random.between(REST_MS.least, REST_MS.most);
    await pause(rest, undefined, { signal: stop }).catch(() => {});
  }
  return happened;
}
