import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Inputs that broke a decoder once, a folder a decoder. They are tests from then on: `fuzz.test.ts`. */
const FOLDER = fileURLToPath(new URL('./found', import.meta.url));

/** The inputs of a decoder, by file name. */
export function readFound(target: string): Map<string, Uint8Array> {
  const folder = join(FOLDER, target);
  if (!existsSync(folder)) return new Map();
  return new Map(readdirSync(folder).map((name) => [name, new Uint8Array(readFileSync(join(folder, name)))]));
}

/** Keeps an input. @returns its path */
export function keepFound(target: string, input: Uint8Array): string {
  const folder = join(FOLDER, target);
  mkdirSync(folder, { recursive: true });
  const path = join(folder, createHash('sha256').update(input).digest('hex').slice(0, 16));
  writeFileSync(path, input);
  return path;
}
