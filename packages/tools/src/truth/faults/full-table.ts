import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandFailed } from '@egressd/world/network/commands';
import type { World } from '@egressd/world/network/world';

/** The machine's limit for the table of each namespace; it is not touched. */
const LIMIT_FILE = '/proc/sys/net/netfilter/nf_conntrack_max';
/** Addresses that no host has. */
const SOURCES = 8;
const FIRST_PORT = 1024;
/** Established and seen in both directions: the kernel may not drop them to make room. */
const STATE = '--state ESTABLISHED -u ASSURED,SEEN_REPLY';

/**
 * Fills a node's table until the kernel takes no more. The connections carry nothing, and end by themselves.
 * @param seconds how long they stay
 * @returns how many connections the table holds then
 */
export async function fillTable(world: World, node: string, seconds: number): Promise<number> {
  const limit = Number(await readFile(LIMIT_FILE, 'utf8'));
  const perSource = Math.ceil((limit + 1) / SOURCES);
  const lines: string[] = [];
  for (let i = 0; i <= limit; i++) {
    const source = `10.64.0.${1 + Math.floor(i / perSource)}`;
    const port = FIRST_PORT + (i % perSource);
    lines.push(`-A -s ${source} -d 10.128.0.1 -p tcp --sport 40000 --dport ${port} ${STATE} -t ${seconds}`);
  }
  const file = join(world.folder, 'connections');
  await writeFile(file, lines.join('\n'));
  await world.run(node, 'conntrack', ['-R', file]).catch(full);
  return Number(await world.run(node, 'cat', ['/proc/sys/net/netfilter/nf_conntrack_count']));
}

function full(error: unknown): void {
  if (!(error instanceof CommandFailed) || !error.message.includes('not enough memory')) throw error;
}
