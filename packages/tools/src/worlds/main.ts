/**
 * Shapes of a node's network that need a kernel with Open vSwitch, IPVS and flowtables: boots one of Debian in a virtual machine, and
 * compares there what egressd counts with what the ends of each transfer have counted, to the byte.
 *
 *   npm run worlds                  all of them
 *   npm run worlds -- ovs           one
 *   ... --accel kvm                 faster, where the machine has it
 *   ... --metrics                   prints the collector's metrics of each case too
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { waitForExit } from '@egressd/world/network/commands';
import { EXIT_INTERRUPTED, interruptSignal } from '../interrupt.ts';
import type { CaseResult } from './case.ts';
import { startMachine } from './machine.ts';
import { guestScript, RESULTS_FILE } from './results.ts';
import { reportLines, verdictOf } from './verdict.ts';
import { WORLDS } from './worlds.ts';

const USAGE = `npm run worlds [-- NAME...]   ${Object.keys(WORLDS).join(', ')}; without a name all
  --kernel 6.1               the kernel: Debian 12's
  --accel tcg|kvm            kvm is faster, where the machine has it
  --metrics                  prints the collector's metrics of each case too`;
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
/** Emulated, a case takes minutes on a machine that has other work. */
const CASE_LIMIT_MS = 15 * 60_000;

interface Options {
  readonly names: readonly string[];
  readonly kernel: string;
  readonly accelerator: string;
  readonly metrics: boolean;
}

/** @returns what to do, or what is wrong with the arguments */
function readOptions(args: string[]): Options | string {
  try {
    const options = {
      kernel: { type: 'string' },
      accel: { type: 'string' },
      metrics: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    } as const;
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    if (values.help) return '';
    const unknown = positionals.find((name) => !Object.hasOwn(WORLDS, name));
    if (unknown !== undefined) return `no world ${unknown}`;
    const { kernel = '6.1', accel: accelerator = 'tcg', metrics = false } = values;
    return { names: positionals.length > 0 ? positionals : Object.keys(WORLDS), kernel, accelerator, metrics };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Runs the guest to its end. @returns what it has found out, also where it was ended */
async function runGuest(options: Options, results: string, stop: AbortSignal): Promise<CaseResult[]> {
  const { names, kernel, accelerator } = options;
  const script = guestScript(process.execPath, names);
  const machine = startMachine({ kernel, accelerator, results, script, onLine: (line) => say(`  ${line}`) });
  stop.addEventListener('abort', () => machine.kill(), { once: true });
  const cases = names.flatMap((name) => WORLDS[name]!).length;
  if (!(await waitForExit(machine, (cases + 1) * CASE_LIMIT_MS))) machine.kill('SIGKILL');
  const file = join(results, RESULTS_FILE);
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
  return lines.map((line) => JSON.parse(line) as CaseResult);
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (typeof options === 'string') {
    say(options === '' ? USAGE : `worlds: ${options}\n${USAGE}`);
    return options === '' ? 0 : EXIT_USAGE;
  }
  const stop = interruptSignal();
  const results = mkdtempSync(join(tmpdir(), 'egressd-worlds-'));
  say(`booting Linux ${options.kernel} (${options.accelerator}): ${options.names.join(', ')}. This takes minutes`);
  try {
    const found = await runGuest(options, results, stop);
    if (stop.aborted) return EXIT_INTERRUPTED;
    for (const line of found.flatMap((result) => reportLines(result, options.metrics)))
      process.stdout.write(`${line}\n`);
    const missing = options.names.flatMap((name) => WORLDS[name]!).length - found.length;
    if (missing > 0) say(`worlds: the guest ended before ${missing} of its cases`);
    return missing === 0 && found.every((result) => verdictOf(result).good) ? 0 : EXIT_FAILED;
  } finally {
    rmSync(results, { recursive: true, force: true });
  }
}

main().then(
  (code) => process.exit(code),
  (error) => {
    say(`worlds: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(EXIT_FAILED);
  },
);
