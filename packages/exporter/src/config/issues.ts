import { nearest } from '@egressd/daemon/nearest';
import { printable, shortened } from '@egressd/daemon/printable';
import { z } from 'zod';

/** One thing that is wrong with a file: where, and what was expected there. Never holds a value: it could be a secret. */
export interface Mistake {
  readonly path: readonly PropertyKey[];
  readonly text: string;
}

/** A valid value, or every mistake in it. */
type Checked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly mistakes: readonly Mistake[] };

/** Checks a value against a schema and names every mistake at once, unknown keys with the known one that is nearest. */
export function check<S extends z.ZodType>(schema: S, value: unknown): Checked<z.output<S>> {
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return { ok: true, value: result.data };
  let json: JsonSchema | undefined;
  let lookUps = 0;
  const keysOf = (path: readonly PropertyKey[]): readonly string[] => {
    if (++lookUps > MAX_LOOK_UPS) return [];
    json ??= jsonSchemaOf(schema);
    return keysAt(json, path);
  };
  return { ok: false, mistakes: result.error.issues.flatMap((issue) => mistakesOf(issue, keysOf, [])) };
}

/** So many mistakes are in a message: where a program writes the file, one wrong line of it is thousands. */
export const MAX_SHOWN = 20;
/** Maps whose known keys are looked up: of more than are shown, since mistakes are sorted afterwards. */
const MAX_LOOK_UPS = 10 * MAX_SHOWN;
/** Most of a key or value in a line: the longest name that Kubernetes has (RFC 1123). */
const MAX_QUOTED_LENGTH = 253;

/** The first of many mistakes, a line each, and a last line with how many more there are. */
export function firstMistakes(lines: readonly string[]): readonly string[] {
  const more = lines.length > MAX_SHOWN ? [`and ${lines.length - MAX_SHOWN} more`] : [];
  return [...lines.slice(0, MAX_SHOWN), ...more];
}

/** A value of the file in a message, quoted and not too long. */
export function quoted(value: string): string {
  return printable(JSON.stringify(shortened(value, MAX_QUOTED_LENGTH)));
}

/** A line a mistake: `sinks.prom.url: expected text, found nothing`. */
export function mistakeLine(mistake: Mistake): string {
  const path = formatPath(mistake.path);
  return path === '' ? mistake.text : `${path}: ${mistake.text}`;
}

/** A path as one would write it: `nodes[2].addresses[0]`, `sinks["my sink"].url`. */
export function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((key, i) => {
      if (typeof key === 'number') return `[${key}]`;
      const name = String(key);
      if (!/^[\w-]{1,253}$/.test(name)) return `[${quoted(name)}]`;
      return i === 0 ? name : `.${name}`;
    })
    .join('');
}

type Issue = z.core.$ZodIssue;

type KeysOf = (path: readonly PropertyKey[]) => readonly string[];

function mistakesOf(issue: Issue, keysOf: KeysOf, above: readonly PropertyKey[]): Mistake[] {
  const path = [...above, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    const known = keysOf(path);
    // A name that is near is looked for as far as it is shown.
    const text = (key: string, i: number) => (i < MAX_SHOWN ? unknownKey(key, known) : 'unknown setting');
    return issue.keys.map((key, i) => ({ path: [...path, key], text: text(key, i) }));
  }
  if (issue.code === 'invalid_union') {
    const branch = nearestBranch(issue.errors);
    if (branch !== undefined) return branch.flatMap((inner) => mistakesOf(inner, keysOf, path));
  }
  return [{ path, text: textOf(issue) }];
}

function unknownKey(key: string, known: readonly string[]): string {
  const near = nearest(key, known);
  if (near !== undefined) return `unknown setting, did you mean ${near}?`;
  return known.length === 0 ? 'unknown setting' : `unknown setting, expected one of ${known.join(', ')}`;
}

/** The issues of that branch of a union which fits the value best: the fewest, and not only its type. */
function nearestBranch(branches: readonly Issue[][]): Issue[] | undefined {
  const fitting = branches.filter((issues) => !issues.some((it) => it.code === 'invalid_type' && it.path.length === 0));
  return fitting.sort((a, b) => a.length - b.length)[0];
}

function textOf(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${kindName(issue.expected)}, found ${kindOf(issue.input)}`;
    case 'invalid_value':
      return `expected ${issue.values
        .map(String)
        .join(', ')
        .replace(/, ([^,]*)$/, ' or $1')}`;
    case 'invalid_union':
      return `expected ${unionKinds(issue.errors)}, found ${kindOf(issue.input)}`;
    case 'too_small':
      return `expected ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${unit(issue.origin)}`;
    case 'too_big':
      return `expected ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${unit(issue.origin)}`;
    case 'invalid_format':
      return issue.message.replace(/^Invalid (\w+)$/, 'expected a valid $1');
    default:
      return issue.message;
  }
}

function unionKinds(branches: readonly Issue[][]): string {
  const kinds = branches.flat().map((it) => (it.code === 'invalid_type' ? kindName(it.expected) : textOf(it)));
  return [...new Set(kinds)].join(' or ');
}

function unit(origin: string): string {
  if (origin === 'string') return ' characters';
  if (origin === 'array' || origin === 'set') return ' entries';
  return '';
}

const KIND_NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map of settings',
  record: 'a map of settings',
  null: 'nothing',
};

function kindName(expected: string): string {
  return KIND_NAMES[expected] ?? expected;
}

/** The type of what is there instead, without its value. */
function kindOf(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  return kindName(typeof value);
}

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** What a schema accepts, before its transforms. What JSON Schema cannot say accepts anything. */
function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
}

/** The keys that a schema knows at a path, those of all branches of a union. */
function keysAt(schema: JsonSchema, path: readonly PropertyKey[]): string[] {
  const { anyOf, properties, items, additionalProperties } = schema;
  if (anyOf !== undefined) return anyOf.flatMap((branch) => (typeof branch === 'object' ? keysAt(branch, path) : []));
  const [key, ...rest] = path;
  if (key === undefined) return Object.keys(properties ?? {});
  const next = properties?.[String(key)] ?? items ?? additionalProperties;
  return typeof next === 'object' && !Array.isArray(next) ? keysAt(next as JsonSchema, rest) : [];
}
