import { expect, test } from '@jest/globals';
import { overview, type Panel } from '../dashboards/panels.ts';
import type { Answer, AnsweredSection } from './answers.ts';
import { page } from './page.ts';

const RANGE = { fromMs: 1_700_000_000_000, toMs: 1_700_000_090_000 };

/** What a database might answer to a panel: two series. */
function answersOf({ kind }: Panel): Answer[] {
  return [1, 2].map((rank) => ({
    labels: kind === 'number' ? {} : { src_zone: `<zone-${rank}>`, dst_zone: 'zone-b' },
    points: (kind === 'graph' ? [0, 45, 90] : [90]).map((at) => [RANGE.fromMs / 1000 + at, rank * 1_500_000] as const),
  }));
}

const SECTIONS: AnsweredSection[] = overview('counter').map(({ title, panels }) => ({
  title,
  panels: panels.map((panel) => ({ panel, answers: answersOf(panel) })),
}));

test('the page has every panel, its numbers, and nothing from elsewhere', () => {
  const { html, height } = page(SECTIONS, RANGE);
  for (const { panel } of SECTIONS.flatMap(({ panels }) => panels)) expect(html).toContain(`<h3>${panel.title}</h3>`);
  expect(html).toContain('<div class="number">4.50 MB</div>');
  expect(html).toContain('&lt;zone-1&gt; to zone-b');
  expect(html).not.toMatch(/<zone|\b(src|href)=|NaN|undefined/);
  expect(height).toBeGreaterThan(1000);
});

test('lines lie within their axes, also where nothing moved', () => {
  const [section] = SECTIONS.filter(({ title }) => title === 'Over time');
  const idle = section!.panels.map((each) => ({
    ...each,
    answers: each.answers.map((answer) => ({ ...answer, points: answer.points.map(([at]) => [at, 0] as const) })),
  }));
  for (const panels of [section!.panels, idle]) {
    const { html } = page([{ title: 'Over time', panels }], RANGE);
    const points = [...html.matchAll(/points="([^"]+)"/g)].flatMap(([, text]) => text!.split(' '));
    expect(points).toHaveLength(4 * 2 * 3);
    for (const [x, y] of points.map((point) => point.split(',').map(Number))) {
      expect(x).toBeGreaterThanOrEqual(0);
      expect(y).toBeGreaterThanOrEqual(0);
      expect(y).toBeLessThanOrEqual(150);
    }
  }
});
