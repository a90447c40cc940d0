import { bytesByPod } from './guests.ts';
import { connections } from './live-traffic.ts';
import type { Context } from './row.ts';

/** Pods that visit a guest: one of each node. */
const VISITORS = ['web-1', 'web-2'];

/** Visits to a guest of node-a or node-b, from both nodes. */
export async function visit({ world, random }: Context, address: string, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const size = { up: random.between(1000, 90_000), down: random.between(1000, 900_000), connections: 5 };
    const steps = VISITORS.map((from) => connections(from, address, size));
    await Promise.all(steps.map(({ from, order }) => world.agent(from).order(order)));
  }
}

/**
 * What is wrong with the bytes that were attributed to pods of one address; undefined: nothing.
 * @param kernel bytes sent and received, by the name of the pod that moved them
 */
export async function misattributed(
  { daemons }: Context,
  address: string,
  kernel: Readonly<Record<string, number>>,
): Promise<string | undefined> {
  const database = await bytesByPod(daemons, address);
  const names = new Set([...Object.keys(kernel), ...database.keys()]);
  const wrong = [...names].filter((name) => kernel[name] !== database.get(name));
  if (wrong.length === 0) return undefined;
  const each = wrong.map(
    (name) => `${name || 'no pod'}: ${kernel[name] ?? 0} by the kernel, ${database.get(name) ?? 0} in the database`,
  );
  return `bytes of ${address} went to the wrong pod: ${each.join('; ')}`;
}
