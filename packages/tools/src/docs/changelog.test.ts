import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { IMPORT_MAP } from '../import-map.ts';
import { ROOT } from './documents.ts';

/** Rooms that are no folder of a daemon. */
const OTHER_ROOMS = ['chart', 'proto', 'docs', 'images', 'examples'];
const ROOMS = new Set([
  ...OTHER_ROOMS,
  ...readdirSync(join(ROOT, 'packages')),
  ...Object.values(IMPORT_MAP).flatMap((rooms) => Object.keys(rooms).flatMap((room) => [room, room.split('/')[0]!])),
]);

const [, ...lines] = readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8').split('\n');

test('every section is a version with its date, and the first may be what is not released yet', () => {
  const headings = lines.filter((line) => line.startsWith('#'));
  expect(headings.length).toBeGreaterThan(0);
  const released = headings[0] === '## Unreleased' ? headings.slice(1) : headings;
  expect(released.filter((heading) => !/^## \d+\.\d+\.\d+ \(\d{4}-\d{2}-\d{2}\)$/.test(heading))).toEqual([]);
});

test('every entry says what kind it is and which room it is about', () => {
  const entries = lines.filter((line) => line !== '' && !line.startsWith('#') && !line.startsWith('  '));
  expect(entries.length).toBeGreaterThan(10);
  const wrong = entries.filter((entry) => {
    const room = /^- \[(?:FEATURE|CHANGE|BUGFIX)\] ([\w-]+): \S/.exec(entry)?.[1];
    return room === undefined || !ROOMS.has(room);
  });
  expect(wrong).toEqual([]);
});
