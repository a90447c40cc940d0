/**
 * Fuzzing: whether any bytes can make a decoder crash, hang, read what is not its own, or contradict itself.
 *
 *   npm run fuzz                             every decoder, a short while each
 *   npm run fuzz -- netlink --seconds 600    one of them, for ten minutes
 *   npm run fuzz -- --list                   which there are
 *
 * What is found is kept under packages/tools/src/fuzz/found, and is a test from then on.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { textTable } from '../demo/text-table.ts';
import { keepFound } from './found.ts';
import { fuzzOnce } from './supervise.ts';
import type { Target } from './target.ts';
import { TARGETS } from './targets.ts';

const USAGE = `npm run fuzz [-- [DECODER...] [--seconds N] [--seed N] [--list]]
  --seconds N   for each decoder, 10 unless said otherwise
  --seed N      the same seed draws the same inputs as far as the clock allows`;
const DEFAULT_SECONDS = 10;
const MAX_SECONDS = 24 * 60 * 60;
const MAX_SEED = 2 ** 32 - 1;
const EXIT_FOUND = 1;
const EXIT_USAGE = 2;

interface Options {
  readonly targets: readonly Target[];
  readonly seconds: number;
  readonly seed: number;
}

/** @returns what to do, or what to say instead */
function readOptions(args: string[]): Options | { readonly say: string; readonly code: number } {
  const wrong = (what: string) => ({ say: `${what}\n\n${USAGE}`, code: EXIT_USAGE });
  try {
    const options = { seconds: { type: 'string' }, seed: { type: 'string' }, list: { type: 'boolean' } } as const;
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const list = textTable(
      [
        { title: 'DECODER', align: 'left' },
        { title: 'OF', align: 'left' },
      ],
      TARGETS.map(({ name, about }) => [name, about]),
    );
    if (values.list) return { say: list.join('\n'), code: 0 };
    const unknown = positionals.find((name) => !TARGETS.some((target) => target.name === name));
    if (unknown !== undefined) return wrong(`no decoder ${unknown}: one of ${TARGETS.map((t) => t.name).join(', ')}`);
    const seconds = Number(values.seconds ?? DEFAULT_SECONDS);
    if (!(seconds > 0 && seconds <= MAX_SECONDS)) return wrong(`--seconds: expected 1 to ${MAX_SECONDS}`);
    const seed = Number(values.seed ?? randomInt(MAX_SEED));
    if (!Number.isInteger(seed) || seed < 0 || seed > MAX_SEED) return wrong(`--seed: expected 0 to ${MAX_SEED}`);
    const targets = TARGETS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
    return { targets, seconds, seed };
  } catch (error) {
    return wrong(error instanceof Error ? error.message : String(error));
  }
}

/** @returns whether nothing was found */
async function fuzz({ name }: Target, seconds: number, seed: number): Promise<boolean> {
  const result = await fuzzOnce(name, seed, seconds * 1000);
  if (result.kind === 'clean') {
    const { runs, blocks, corpus } = result;
    say(`${name}: clean. ${runs} inputs, ${blocks} blocks of code, ${corpus} inputs kept for new code`);
    return true;
  }
  const path = keepFound(name, result.input);
  say(`${name}: BROKEN after ${result.runs} inputs: ${result.message}\n  the input is in ${path}`);
  return false;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if ('say' in options) {
    say(options.say);
    return options.code;
  }
  const { targets, seconds, seed } = options;
  say(`seed ${seed}, ${seconds} s a decoder`);
  let clean = true;
  for (const target of targets) clean = (await fuzz(target, seconds, seed)) && clean;
  return clean ? 0 : EXIT_FOUND;
}

process.exitCode = await main();
