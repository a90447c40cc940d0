import { readableBytes } from '../demo/text-table.ts';
import type { Answer, AnsweredPanel, AnsweredSection, TimeRange } from './answers.ts';
import { escapeHtml } from './escape.ts';
import { graph, type Line } from './graph.ts';

/** Pixels of the page: 24 columns, as Grafana has them. */
export const PAGE_WIDTH = 1140;
const GAP = 10;
const COLUMNS = 24;
const PADDING = 12;
const GRAPH_HEIGHT = 150;
/** Heights of panels; a table's grows with its rows. */
const HEIGHT = { number: 84, graph: 232, table: 62 } as const;
const ROW_HEIGHT = 22;
const HEADER = 58;
const HEADING = 34;
/** What fits into a table's panel. */
const MAX_ROWS = 6;

const STYLE = `
* { box-sizing: border-box; margin: 0 }
body { width: ${PAGE_WIDTH}px; background: #eef0f3; color: #1f2430; font: 13px "Inter", "DejaVu Sans", sans-serif; padding: 0 ${GAP}px }
header { height: ${HEADER}px; padding: 16px 2px 0; font-size: 20px; font-weight: 600 }
header small { font-size: 13px; font-weight: 400; color: #5b6472; margin-left: 12px }
h2 { height: ${HEADING}px; padding: 10px 2px 0; font-size: 14px; font-weight: 600; color: #5b6472 }
section { display: grid; grid-template-columns: repeat(${COLUMNS}, 1fr); gap: ${GAP}px }
article { background: #fff; border: 1px solid #d9dde4; border-radius: 4px; padding: 9px ${PADDING}px; overflow: hidden }
h3 { font-size: 13px; font-weight: 600; height: 22px }
.number { font-size: 30px; font-weight: 600; color: #0072b2; text-align: center }
text { font-size: 11px; fill: #5b6472 } .grid { stroke: #e6e9ee }
.legend { display: flex; flex-wrap: wrap; gap: 3px 16px; font-size: 12px; padding-left: 4px }
.legend i { display: inline-block; width: 14px; height: 4px; border-radius: 2px; margin: 0 6px 3px 0 }
table { width: 100%; border-collapse: collapse; font-size: 12.5px }
th { text-align: left; font-weight: 600; color: #5b6472; padding: 2px 4px; border-bottom: 1px solid #d9dde4 }
td { padding: 3px 4px; border-bottom: 1px solid #eef0f3; white-space: nowrap } .value { text-align: right }
td.value { font-variant-numeric: tabular-nums }`;

/** A page like the overview dashboard, self-contained, and how high it is. */
export function page(sections: readonly AnsweredSection[], range: TimeRange): { html: string; height: number } {
  const bodies = sections.map((section) => renderSection(section, range));
  const seconds = Math.round((range.toMs - range.fromMs) / 1000);
  const header = `<header>egressd: overview<small>npm run demo: ${seconds} seconds of real traffic of six pods in two zones</small></header>`;
  const html = `<!doctype html><meta charset="utf-8"><title>egressd: overview</title><style>${STYLE}</style>${header}${bodies.map((body) => body.html).join('')}`;
  return { html, height: HEADER + bodies.reduce((sum, { height }) => sum + height, 0) + GAP };
}

function renderSection({ title, panels }: AnsweredSection, range: TimeRange): { html: string; height: number } {
  const lines = gridLines(panels).map((line) => {
    const height = Math.max(...line.map(heightOf));
    return { height, html: line.map((each) => article(each, height, range)).join('') };
  });
  return {
    html: `<h2>${escapeHtml(title)}</h2><section>${lines.map(({ html }) => html).join('')}</section>`,
    height: HEADING + lines.reduce((sum, { height }) => sum + height + GAP, -GAP),
  };
}

/** Panels that stand beside each other. */
function gridLines(panels: readonly AnsweredPanel[]): AnsweredPanel[][] {
  const perLine = COLUMNS / panels[0]!.panel.width;
  return Array.from({ length: Math.ceil(panels.length / perLine) }, (_, index) =>
    panels.slice(index * perLine, (index + 1) * perLine),
  );
}

function heightOf({ panel, answers }: AnsweredPanel): number {
  return HEIGHT[panel.kind] + (panel.kind === 'table' ? ROW_HEIGHT * Math.min(answers.length, MAX_ROWS) : 0);
}

function article(answered: AnsweredPanel, height: number, range: TimeRange): string {
  const { title, width } = answered.panel;
  const style = `grid-column: span ${width}; height: ${height}px`;
  return `<article style="${style}"><h3>${escapeHtml(title)}</h3>${body(answered, range)}</article>`;
}

function body({ panel, answers }: AnsweredPanel, range: TimeRange): string {
  if (panel.kind === 'number')
    return `<div class="number">${readableBytes(answers.reduce((sum, answer) => sum + last(answer), 0))}</div>`;
  if (panel.kind === 'table') return table(answers);
  const inner = (PAGE_WIDTH - 2 * GAP + GAP) * (panel.width / COLUMNS) - GAP - 2 * PADDING - 2;
  const lines: Line[] = answers.map((answer) => ({ ...answer, name: legendOf(panel.legend ?? '', answer) }));
  return graph(
    lines.sort((a, b) => last(b) - last(a)),
    range,
    { width: Math.floor(inner), height: GRAPH_HEIGHT },
  );
}

function legendOf(legend: string, { labels }: Answer): string {
  return legend.replace(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? 'no');
}

/** The largest rows, the labels as columns. */
function table(answers: readonly Answer[]): string {
  const names = [...new Set(answers.flatMap(({ labels }) => Object.keys(labels)))].sort(
    (a, b) => Number(a.startsWith('dst')) - Number(b.startsWith('dst')),
  );
  const rows = [...answers].sort((a, b) => last(b) - last(a)).slice(0, MAX_ROWS);
  const heads = names.map((name) => `<th>${escapeHtml(name)}</th>`).join('');
  const cells = rows.map((answer) => {
    const labels = names.map((name) => `<td>${escapeHtml(answer.labels[name] ?? '')}</td>`).join('');
    return `<tr>${labels}<td class="value">${readableBytes(last(answer))}</td></tr>`;
  });
  return `<table><tr>${heads}<th class="value">sent</th></tr>${cells.join('')}</table>`;
}

function last({ points }: Answer): number {
  return points.at(-1)?.[1] ?? 0;
}
