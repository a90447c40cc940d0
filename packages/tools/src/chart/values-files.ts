import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const FOLDER = join(import.meta.dirname, 'testdata/values');

/** The values files that the tests render, by name: each says in its first line what it stands for. */
export const VALUES_FILES: readonly string[] = readdirSync(FOLDER)
  .map((file) => file.replace(/\.yaml$/, ''))
  .sort();

/** @param name of a file in testdata/values, without its end */
export function valuesOf(name: string): Readonly<Record<string, unknown>> {
  return parse(readFileSync(join(FOLDER, `${name}.yaml`), 'utf8')) as Record<string, unknown>;
}
