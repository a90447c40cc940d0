import { renderHelp } from './flag-help.ts';
import type { Flags, ParsedFlags } from './flags.ts';
import { EXIT } from './lifecycle.ts';
import { versionLine } from './version.ts';

/** A program, as `-help` and `-version` name it. */
interface Program {
  readonly name: string;
  /** What it does, a sentence. */
  readonly about: string;
  readonly flags: Flags;
}

/**
 * The values of a parsed command line. Help, version and mistakes end the process: the first two with 0, mistakes, all of them,
 * with 2.
 */
export function commandLineOrExit<V extends { readonly version: boolean }>(
  program: Program,
  parsed: ParsedFlags<V>,
): V {
  if (parsed.kind === 'help') {
    process.stdout.write(renderHelp(program.name, program.about, program.flags));
    process.exit(EXIT.ok);
  }
  if (parsed.kind === 'mistakes') {
    for (const mistake of parsed.mistakes) process.stderr.write(`${program.name}: ${mistake}\n`);
    process.stderr.write(`${program.name}: -help shows every flag\n`);
    process.exit(EXIT.usage);
  }
  for (const warning of parsed.warnings) process.stderr.write(`${program.name}: ${warning}\n`);
  if (parsed.values.version) {
    process.stdout.write(`${versionLine(program.name)}\n`);
    process.exit(EXIT.ok);
  }
  return parsed.values;
}
