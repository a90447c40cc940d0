/** Does the attack of a row on this host until SIGTERM: prints that it begins, then what it did as JSON: `attack-process.ts ROW TARGET`. */
import type { Target } from './row.ts';
import { ROWS } from './rows/table.ts';

const [name, target = ''] = process.argv.slice(2);
const row = ROWS.find((each) => each.name === name);
if (row === undefined) throw new Error(`no row ${name}`);

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
// An attack that is through with all it has waits for the signal.
setInterval(() => {}, 1_000);
process.stdout.write('begins\n');
const done = await row.attack(JSON.parse(target) as Target, stop.signal);
process.stdout.write(`${JSON.stringify(done)}\n`, () => process.exit(0));
