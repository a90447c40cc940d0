import { DATABASES, type Database, startDatabase } from '@egressd/world/receivers/database';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { END_MS, fill } from '../dashboards/testing.ts';
import { blocks, DOCUMENTS } from './documents.ts';

/** The queries of the documents: a comment separates two of a block. */
const QUERIES = DOCUMENTS.flatMap((document) => blocks(document, 'promql'))
  .flatMap(({ text }) => text.split(/^#.*\n/m))
  .map((query) => query.trim())
  .filter((query) => query !== '');

test('the front page has two questions', () => {
  expect(QUERIES.length).toBeGreaterThanOrEqual(2);
});

describe.each(DATABASES)('%s answers', (kind) => {
  let database: Database;

  beforeAll(async () => {
    database = await startDatabase(kind);
    await fill(database, 'counter');
  });
  afterAll(() => database.stop());

  test.each([...new Set(QUERIES)])('%s', async (query) => {
    const rows = await database.query(query, END_MS);
    expect(rows.length).toBeGreaterThan(0);
    // By whom: labels that the series have, and bytes that moved.
    for (const { labels, samples } of rows) {
      expect(Object.values(labels).filter((value) => value !== '')).not.toEqual([]);
      expect(samples[0]!.value).toBeGreaterThan(0);
    }
  });
});
