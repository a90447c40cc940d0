import type { Flag } from './flag-kinds.ts';
import { didYouMean } from './nearest.ts';

/** Flags by name. Declared once, they give the parser, its type, `-help` and the table of docs/flags.md. */
export type Flags = Readonly<Record<string, Flag<unknown>>>;

/** `read-interval` as a property: `readInterval`. */
type PropertyName<S extends string> = S extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<PropertyName<Tail>>}`
  : S;

/** The values of declared flags, by property name. */
export type Values<F extends Flags> = {
  readonly [Name in keyof F & string as PropertyName<Name>]: F[Name] extends Flag<infer T> ? T : never;
};

/** The environment of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What a command line asks for. */
export type ParsedFlags<V> =
  | { readonly kind: 'values'; readonly values: V; readonly warnings: readonly string[] }
  | { readonly kind: 'help' }
  /** Everything that is wrong, each one sentence. */
  | { readonly kind: 'mistakes'; readonly mistakes: readonly string[] };

/** A text that sets a flag, and where it stands (`-read-interval`, `EGRESSD_READ_INTERVAL`). */
interface Setting {
  readonly text: string;
  readonly from: string;
}

const ENVIRONMENT_PREFIX = 'EGRESSD_';

/** Declares flags and keeps the type of each. */
export function defineFlags<const F extends Flags>(flags: F): F {
  return flags;
}

/** `read-interval` in the environment: `EGRESSD_READ_INTERVAL`. */
export function environmentName(flag: string): string {
  return ENVIRONMENT_PREFIX + flag.toUpperCase().replaceAll('-', '_');
}

/** `read-interval` as a property: `readInterval`. */
export function propertyName(flag: string): string {
  return flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * Reads flags as Go's flag package does (https://pkg.go.dev/flag#hdr-Command_line_flag_syntax): `-flag=value`, `--flag=value`,
 * `-flag value`; a boolean takes its value only after `=`. The last of several wins; a flag wins over the environment, which
 * wins over the default. Unlike Go it does not stop at the first mistake.
 * @param check what is wrong with the values together; flags with a mistake of their own have their default in it
 */
export function parseFlags<const F extends Flags>(
  flags: F,
  argv: readonly string[],
  environment: Environment,
  check: (values: Values<F>) => readonly string[] = () => [],
): ParsedFlags<Values<F>> {
  const line = readCommandLine(flags, argv);
  if (line.help) return { kind: 'help' };
  const mistakes = [...line.mistakes];
  const values: Record<string, unknown> = {};
  for (const [name, flag] of Object.entries(flags)) {
    const setting = line.settings.get(name) ?? fromEnvironment(name, environment);
    const read = setting === undefined ? { value: flag.default } : flag.read(setting.text);
    values[propertyName(name)] = 'value' in read ? read.value : flag.default;
    if ('expected' in read)
      mistakes.push(`${setting?.from}: is ${JSON.stringify(setting?.text)}, expected ${read.expected}`);
  }
  mistakes.push(...check(values as Values<F>));
  if (mistakes.length > 0) return { kind: 'mistakes', mistakes };
  return { kind: 'values', values: values as Values<F>, warnings: unknownEnvironment(flags, environment) };
}

function fromEnvironment(name: string, environment: Environment): Setting | undefined {
  const from = environmentName(name);
  const text = environment[from];
  return text === undefined ? undefined : { text, from };
}

/** Other variables with our prefix are not refused (a Service named egressd-exporter makes some); a likely misspelling is warned of. */
function unknownEnvironment(flags: Flags, environment: Environment): string[] {
  const known = Object.keys(flags).map(environmentName);
  const ours = Object.keys(environment).filter((name) => name.startsWith(ENVIRONMENT_PREFIX) && !known.includes(name));
  return ours.flatMap((name) => {
    const hint = didYouMean(name, known);
    return hint === '' ? [] : [`${name} in the environment is no flag${hint}`];
  });
}

interface CommandLine {
  readonly settings: Map<string, Setting>;
  readonly mistakes: string[];
  help: boolean;
}

function readCommandLine(flags: Flags, argv: readonly string[]): CommandLine {
  const names = Object.keys(flags).map((name) => `-${name}`);
  const line: CommandLine = { settings: new Map(), mistakes: [], help: false };
  for (let at = 0; at < argv.length; at++) {
    const argument = argv[at]!;
    const parts = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(argument);
    if (parts === null) {
      line.mistakes.push(unexpectedArgument(argument, argv[at - 1], flags));
      continue;
    }
    const name = parts[1]!;
    const flag = Object.hasOwn(flags, name) ? flags[name] : undefined;
    if (flag === undefined && (name === 'help' || name === 'h')) line.help = true;
    else if (flag === undefined) line.mistakes.push(`-${name}: unknown flag${didYouMean(`-${name}`, names)}`);
    if (flag === undefined) {
      // Whatever follows an unknown flag is most likely its value: one mistake, not two.
      if (parts[2] === undefined && argv[at + 1]?.startsWith('-') === false) at++;
      continue;
    }
    let text = parts[2] ?? (flag.bare ? 'true' : undefined);
    if (text === undefined && !startsKnownFlag(argv[at + 1], flags)) text = argv[++at];
    if (text === undefined) line.mistakes.push(`-${name}: has no value, expected -${name}=${flag.kind.toUpperCase()}`);
    else line.settings.set(name, { text, from: `-${name}` });
  }
  return line;
}

/** A value may start with a dash, but `-state-dir -insecure` has none. */
function startsKnownFlag(argument: string | undefined, flags: Flags): boolean {
  const name = /^--?([^=]+)/.exec(argument ?? '')?.[1];
  return name !== undefined && Object.hasOwn(flags, name);
}

function unexpectedArgument(argument: string, before: string | undefined, flags: Flags): string {
  const name = /^--?([^=]+)$/.exec(before ?? '')?.[1];
  const bare = name !== undefined && Object.hasOwn(flags, name) && flags[name]!.bare;
  const hint = bare ? `; write -${name}=${argument}` : '';
  return `${JSON.stringify(argument)}: is no flag, and there are no other arguments${hint}`;
}
