import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, normalize, relative } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { IMPORT_MAP, type Room } from './import-map.ts';

const PACKAGES = join(import.meta.dirname, '../..');

interface Import {
  readonly file: string;
  readonly from: string;
  readonly typeOnly: boolean;
}

function sources(name: string): string[] {
  return readdirSync(join(PACKAGES, name, 'src'), { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && !/\.test\.ts$|(^|[./])testing\.ts$|(^|\/)(gen|testing)\//.test(file),
  );
}

function importsOf(name: string, file: string): Import[] {
  const text = readFileSync(join(PACKAGES, name, 'src', file), 'utf8');
  const statements = text.matchAll(/^(?:import|export)\s+(type\s)?(?:([\w*{}\s,]+?)\s+from\s+)?'([^']+)'/gm);
  return [...statements].map(([, type, names = '', from]) => {
    const listed =
      /\{([^}]*)\}/
        .exec(names)?.[1]
        ?.split(',')
        .filter((part) => part.trim() !== '') ?? [];
    const allTypes =
      listed.length > 0 &&
      !/^\s*\w/.test(names.replace(/^type\b/, '')) &&
      listed.every((part) => part.trim().startsWith('type '));
    return { file, from: from!, typeOnly: type !== undefined || allTypes };
  });
}

/** The room of a file: the longest name in the map that it lies under. */
function roomOf(map: Readonly<Record<string, Room>>, file: string): string | undefined {
  const path = file.replace(/\.ts$/, '');
  const fits = Object.keys(map).filter((room) => room === '' || path === room || path.startsWith(`${room}/`));
  return fits.sort((a, b) => b.length - a.length)[0];
}

/** What is wrong with an import, or undefined. */
function wrong(
  name: string,
  map: Readonly<Record<string, Room>>,
  room: string,
  { file, from, typeOnly }: Import,
): string | undefined {
  const { packages = [], rooms = [], types = [], pure } = map[room]!;
  if (from === '@egressd/flow/bug') return undefined;
  if (from.startsWith('node:')) return pure ? `${file} is pure and imports ${from}` : undefined;
  if (!from.startsWith('.')) {
    const allowed = packages.some((known) => from === known || from.startsWith(`${known}/`));
    return allowed ? undefined : `${file} imports ${from}`;
  }
  const target = roomOf(map, normalize(join(file, '..', from)));
  if (target === undefined) return `${file} imports ${from}, which is in no room`;
  if (target === room || rooms.includes('*') || rooms.includes(target)) return undefined;
  if (typeOnly && types.some((known) => target === known || target.startsWith(`${known}/`))) return undefined;
  return `${file} imports ${typeOnly ? 'types of' : ''} ${target} (${name})`;
}

describe.each(Object.entries(IMPORT_MAP))('%s', (name, map) => {
  const files = sources(name);

  test('every file has a room', () => {
    expect(files.filter((file) => roomOf(map, file) === undefined)).toEqual([]);
  });

  test('every import follows the map', () => {
    const found = files.flatMap((file) =>
      importsOf(name, file).map((one) => wrong(name, map, roomOf(map, file) ?? '', one)),
    );
    expect(found.filter((what) => what !== undefined)).toEqual([]);
  });

  test('pure rooms ask no clock and no process', () => {
    const impure = files.filter((file) => {
      if (map[roomOf(map, file) ?? '']?.pure !== true) return false;
      return /\b(Date\.now|new Date\(\)|performance\.|console\.|process\.|setTimeout|setInterval|Math\.random)/.test(
        readFileSync(join(PACKAGES, name, 'src', file), 'utf8'),
      );
    });
    expect(impure).toEqual([]);
  });
});

/** Files that import each other in a circle, by types too. */
function circles(name: string): string[] {
  const imports = new Map(
    sources(name).map((file) => [
      file,
      importsOf(name, file)
        .filter(({ from }) => from.startsWith('.'))
        .map(({ from }) => normalize(join(file, '..', from))),
    ]),
  );
  const reaches = (from: string, to: string, seen = new Set<string>()): boolean =>
    (imports.get(from) ?? []).some((next) => {
      if (next === to) return true;
      if (seen.has(next)) return false;
      seen.add(next);
      return reaches(next, to, seen);
    });
  return [...imports.keys()].filter((file) => reaches(file, file));
}

test.each(readdirSync(PACKAGES).filter((name) => existsSync(join(PACKAGES, name, 'src'))))(
  'no files of %s import each other in a circle',
  (name) => {
    expect(circles(name)).toEqual([]);
  },
);

test('tests and tools are imported by nothing that is shipped', () => {
  const found = Object.keys(IMPORT_MAP).flatMap((name) =>
    sources(name).flatMap((file) =>
      importsOf(name, file)
        .filter(({ from }) => /testing\b|^@egressd\/(world|tools)\//.test(from))
        .map(({ from }) => `${name}/${file} imports ${from}`),
    ),
  );
  expect(found).toEqual([]);
});

test('foreign functions are called in one room', () => {
  const callers = sources('collector').filter((file) =>
    importsOf('collector', file).some(({ from }) => from === 'ffi-rs'),
  );
  expect(callers.filter((file) => !file.startsWith('native/'))).toEqual([]);
  expect(callers.length).toBeGreaterThan(3);
});

test('no room has a name that says nothing', () => {
  const folders = Object.keys(IMPORT_MAP)
    .flatMap((name) => sources(name).map((file) => relative('.', join(name, file)).split('/')))
    .flat();
  expect(folders.filter((folder) => /^(utils?|helpers?|common|core|types)(\.ts)?$/.test(folder))).toEqual([]);
});

test('the map itself is held: an import against it is found', () => {
  const map = { a: { rooms: ['b'] }, b: { types: ['a'], pure: true as const } };
  const check = (room: string, from: string, typeOnly = false) =>
    wrong('x', map, room, { file: `${room}/file.ts`, from, typeOnly });
  expect(check('a', '../b/x.ts')).toBeUndefined();
  expect(check('b', '../a/x.ts', true)).toBeUndefined();
  expect(check('b', '../a/x.ts')).toBeDefined();
  expect(check('b', 'node:fs')).toBeDefined();
  expect(check('a', 'left-pad')).toBeDefined();
});
