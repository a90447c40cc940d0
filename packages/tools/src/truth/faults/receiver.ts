import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Bug } from '@egressd/flow/bug';
import { NODE } from '@egressd/world/daemons/daemon-command';
import { INTERNET, OPS } from '@egressd/world/network/layout';
import type { World } from '@egressd/world/network/world';

/** What a receiver does with a request. */
export const BEHAVIOURS = [
  /** Stores it and responds. */
  'well',
  /** Does not listen. */
  'down',
  /** 429 with `Retry-After: 1`. */
  'throttling',
  /** 500. */
  'failing',
  /** 400 where a certain destination is in it. */
  'picky',
  /** The same by a partial success, which only OTLP has: the others are stored. */
  'partly-picky',
  /** Stores the others, and answers 400 to the whole request (Cortex, Mimir). */
  'keeping',
  /** The same for half of all series, by a limit of series. */
  'limited',
  /** 429 to more than seven samples, for ever. */
  'bursting',
  /** 500 where a certain destination is in it. */
  'poisoned',
  /** Throws it away, and answers 202, as to a replica that was not elected. */
  'replica',
  /** Takes it, and never responds. */
  'hanging',
  /** Stores it, and never responds. */
  'mute',
  /** Breaks the connection before it has read it all. */
  'closing-early',
  /** Stores it, and breaks the connection in the middle of its answer. */
  'closing-late',
] as const;
/** One of `BEHAVIOURS`. */
export type Behaviour = (typeof BEHAVIOURS)[number];

/** In the namespace of the exporter. */
export const RECEIVER_PORT = 8430;
/** Where an `otlp` sink sends: the receiver hands on what it stores by remote write. */
export const OTLP_PATH = '/v1/metrics';
/** The destination that a picky receiver does not like. */
export const PICKY_ABOUT = INTERNET.address.v4;

const PROGRAM = fileURLToPath(new URL('./receiver-process.ts', import.meta.url));

/** A receiver between the exporter and its database whose behaviour can be set. */
export interface FaultyReceiver {
  /** From now on. Requests under way are cut. @returns how many requests have met each behaviour so far */
  behave(behaviour: Behaviour): Promise<Readonly<Record<Behaviour, number>>>;
}

/** What kind of receiver it is: see `Staging` of `row.ts`. */
interface ReceiverKind {
  readonly ledger: boolean;
  readonly second: boolean;
}

/** Starts it, behaving well. */
export async function startReceiver(world: World, { ledger, second }: ReceiverKind): Promise<FaultyReceiver> {
  const [command = '', ...args] = NODE;
  const child = world.spawn(
    OPS.name,
    command,
    [...args, PROGRAM, ...(ledger ? ['ledger'] : []), ...(second ? ['second'] : [])],
    { stdio: 'pipe' },
  );
  const { stdin, stdout, stderr } = child;
  if (stdin === null || stdout === null) throw new Bug('a receiver without pipes');
  let lastLines = '';
  stderr?.on('data', (chunk: Buffer) => {
    lastLines = `${lastLines}${chunk.toString('utf8')}`.slice(-2000);
  });
  const ended = once(child, 'close').then(() => Promise.reject(new Error(`the receiver has ended: ${lastLines}`)));
  ended.catch(() => {}); // waits for an answer race it
  const lines = createInterface({ input: stdout });
  const answer = async () => {
    const [line] = (await Promise.race([once(lines, 'line'), ended])) as [string];
    return JSON.parse(line) as Record<Behaviour, number>;
  };
  await answer();
  return {
    behave(behaviour) {
      stdin.write(`${behaviour}\n`);
      return answer();
    },
  };
}
