/**
 * What the guest runs: the cases of the worlds that its arguments name, one after the other. A result is on the machine's disk
 * before the next case begins, so that a guest that hangs takes none with it.
 */
import { appendFileSync } from 'node:fs';
import { openStage, runCase } from './case.ts';
import { RESULTS_FILE } from './results.ts';
import { WORLDS } from './worlds.ts';

const stage = await openStage();
for (const world of process.argv.slice(2)) {
  for (const one of WORLDS[world] ?? []) {
    process.stdout.write(`${one.name}\n`);
    const result = await runCase(stage, world, one);
    appendFileSync(`/run/worlds/${RESULTS_FILE}`, `${JSON.stringify(result)}\n`);
  }
}
process.exit(0);
