import { DATABASES, type Database, startDatabase } from '@egressd/world/receivers/database';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { overview, type Panel } from './panels.ts';
import { END_MS, fill, MINUTE_MS, MINUTES, SERIES } from './testing.ts';

/** What a panel's variables stand for: the whole time. */
const RANGE_MS = 30 * MINUTE_MS;
const VARIABLES: Readonly<Record<string, string>> = {
  $__range: `${RANGE_MS}ms`,
  $__rate_interval: '4m',
  $__interval_ms: String(MINUTE_MS),
  $__interval: '1m',
  $cluster: '.*',
  $namespace: '.*',
};

const [ACROSS, INSIDE, OUTSIDE] = SERIES.map(({ perMinute }) => perMinute * MINUTES) as [number, number, number];

/** What panels must add up to, over all their rows. */
const SUMS: Readonly<Record<string, number>> = {
  'To the internet': OUTSIDE,
  'Across zones': ACROSS,
  'All that pods sent': ACROSS + INSIDE + OUTSIDE,
  'Pods, to the internet': OUTSIDE,
  'Pods, across zones': ACROSS,
  'Workloads, to the internet': OUTSIDE,
  'Workloads, across zones': ACROSS,
  'Outside, by network': OUTSIDE,
  'Who to whom, across zones': ACROSS,
  'Who to whom': ACROSS + INSIDE,
  'From zone to zone': ACROSS + INSIDE,
  'Public addresses': OUTSIDE,
};
/** Bytes a second. */
const RATES: Readonly<Record<string, number>> = {
  Traffic: (ACROSS + INSIDE + OUTSIDE) / MINUTES / 60,
  'Zone to zone': ACROSS / MINUTES / 60,
  'To the internet, by namespace': OUTSIDE / MINUTES / 60,
  'By namespace': (ACROSS + INSIDE + OUTSIDE) / MINUTES / 60,
};

/** The sum over all rows that a panel shows at the end. */
async function show(database: Database, { query }: Panel): Promise<number> {
  const expression = query.replace(/\$\w+/g, (name) => VARIABLES[name] ?? name);
  const rows = await database.query(expression, END_MS);
  return rows.reduce((sum, { samples }) => sum + samples[0]!.value, 0);
}

describe.each(DATABASES)('%s', (kind) => {
  describe.each([
    ['counter', 'pods'],
    ['delta', 'pods'],
    ['counter', 'workloads'],
    ['delta', 'workloads'],
  ] as const)('%s, %s', (mode, set) => {
    const panels = overview(mode, set).flatMap((section) => section.panels);
    const ofTraffic = panels.filter(({ query }) => query.includes('egressd_transmit_bytes_total'));
    let database: Database;

    beforeAll(async () => {
      database = await startDatabase(kind);
      await fill(database, mode, set);
    });
    afterAll(() => database.stop());

    test.each(ofTraffic.map((panel) => [panel.title, panel] as const))('%s', async (title, panel) => {
      const expected = SUMS[title] ?? RATES[title];
      expect(expected).toBeDefined();
      const shown = await show(database, panel);
      // Prometheus guesses what lies beyond the first and the last sample of a range.
      if (kind === 'prometheus' || title in RATES) expect(Math.abs(shown / expected! - 1)).toBeLessThan(0.1);
      else expect(shown).toBe(expected);
    });

    test.each(panels.filter((panel) => !ofTraffic.includes(panel)).map((panel) => [panel.title, panel] as const))(
      '%s is a query, of metrics that are not here',
      async (_, panel) => {
        expect(await show(database, panel)).toBe(0);
      },
    );
  });
});
