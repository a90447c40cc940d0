import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { CASES } from './cases.ts';
import { type Recording, recordAll } from './recorder.ts';

const FILE = new URL('../../../collector/src/conntrack/netfilter/testdata/corpus.json', import.meta.url);
const { recordings } = JSON.parse(readFileSync(FILE, 'utf8')) as { recordings: Recording[] };

/** What differs between two recordings of one case: identity, times, and how far a timeout has run down. */
function steady({ name, library: { id, start, timeout, ...library } }: Recording) {
  return { name, library, has: [id, start, timeout].map((value) => value !== undefined) };
}

test('the corpus holds every case', () => {
  expect(recordings.map(({ name }) => name)).toEqual(CASES.map(({ name }) => name));
});

test('this kernel sends what was recorded', async () => {
  expect((await recordAll()).map(steady)).toEqual(recordings.map(steady));
}, 60_000);
