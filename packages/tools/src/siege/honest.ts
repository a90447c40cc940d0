import type { Row as ComparedRow } from '@egressd/world/daemons/comparison';
import type { Daemons } from '@egressd/world/daemons/daemons';
import { nameOf } from '@egressd/world/daemons/names';
import { readRows, waitForStandstill } from '@egressd/world/daemons/standstill';
import type { World } from '@egressd/world/network/world';
import { loadReference } from '@egressd/world/reference/reference';
import { attackersOf } from './attackers.ts';
import type { Row } from './row.ts';

/** A sink that was busy with an attack may be late. */
const LATE_MS = 45_000;

/** Puts the kernel's reference on every node, without what only the attack sends: it would fill the reference's own sets. */
export async function loadReferences(world: World, { sendsTo }: Row): Promise<void> {
  for (const { name } of world.layout.nodes) {
    await loadReference(world, name);
    if (sendsTo === undefined) continue;
    const rules = ['seen', 'first'].flatMap((chain) =>
      ['daddr', 'saddr'].map((end) => `insert rule inet ctref ${chain} ip ${end} ${sendsTo} return`),
    );
    await world.run(name, 'nft', ['-f', '-'], rules.join('\n'));
  }
}

/** Waits until all has arrived. @returns what kernel and database have of every pair that is not the attack's own */
export function compareHonest(world: World, daemons: Daemons, row: Row): Promise<ComparedRow[]> {
  const attackers = attackersOf(row);
  // Where an attack has a million pairs, all that its hosts send is left out, so that the database's answer can be read.
  const without = row.sendsTo === undefined ? '' : `src_ip!~"${[...attackers].join('|')}"`;
  const targets = new Set(targetsOf(world));
  const ownTo = (one: string, other: string, node: string) =>
    attackers.has(one) && (without !== '' || targets.has(other) || nameOf(other, node) === other);
  return waitForStandstill(world, daemons, {
    lateMs: LATE_MS,
    read: async () => {
      const rows = await readRows(world, daemons, true, without);
      return rows.filter(
        ({ source, destination, node }) =>
          !ownTo(source, destination, node) && !(targets.has(source) && attackers.has(destination)),
      );
    },
  });
}

function targetsOf({ layout }: World): string[] {
  return [layout.ops, ...layout.nodes].flatMap(({ address }) => Object.values(address));
}
