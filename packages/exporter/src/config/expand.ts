import type { Environment } from '@egressd/daemon/flags';
import type { Mistake } from './issues.ts';

/** Settings of a sink in which `${VAR}` is taken from the environment, in each value where they are maps. */
const EXPANDED = ['url', 'proxyUrl', 'headers', 'labels', 'resourceAttributes'];

/** A file's value with `${VAR}` replaced, and the variables that are not set. */
interface Expanded {
  readonly value: unknown;
  readonly mistakes: readonly Mistake[];
  /** Values of variables, by the name of the sink: they may be secrets. */
  readonly secrets: ReadonlyMap<string, readonly string[]>;
}

/** Replaces `${VAR}` in the settings of all sinks; everything else stays what it is. */
export function expandSinks(file: unknown, environment: Environment): Expanded {
  const mistakes: Mistake[] = [];
  const secrets = new Map<string, string[]>();
  const ofSink = (sinkName: string, sink: unknown) => {
    const found: string[] = [];
    secrets.set(sinkName, found);
    const expand = (path: readonly string[], value: unknown): unknown => {
      if (isMap(value)) return mapValues(value, (inner, key) => expand([...path, key], inner));
      return typeof value === 'string' ? expandText(value, environment, path, mistakes, found) : value;
    };
    return mapValues(sink, (settings, kind) =>
      mapValues(settings, (value, key) =>
        EXPANDED.includes(key) ? expand(['sinks', sinkName, kind, key], value) : value,
      ),
    );
  };
  const value = mapValues(file, (setting, key) =>
    key === 'sinks' ? mapValues(setting, (sink, name) => ofSink(name, sink)) : setting,
  );
  return { value, mistakes, secrets };
}

/** @param found gets the values of the variables */
function expandText(
  text: string,
  environment: Environment,
  path: readonly string[],
  mistakes: Mistake[],
  found: string[],
): string {
  const wrong = (what: string) => mistakes.push({ path, text: what });
  return text.replace(/\$\{([^}]*)(\}?)/g, (whole, name: string, end: string) => {
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (end === '' || !/^[A-Za-z_]\w*$/.test(name)) wrong('expected the name of a variable and } after ${');
    else if (value === undefined) wrong(`\${${name}} is not set in the environment`);
    else found.push(value);
    return value ?? whole;
  });
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A map with each value replaced; anything else as it is. */
function mapValues(value: unknown, replace: (inner: unknown, key: string) => unknown): unknown {
  if (!isMap(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, replace(inner, key)]));
}
