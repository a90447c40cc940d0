import { readableBytes } from '../demo/text-table.ts';
import type { Answer, TimeRange } from './answers.ts';
import { escapeHtml } from './escape.ts';

/** Colors of lines, told apart by people who see few colors too (Okabe and Ito). */
const COLORS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#d55e00', '#56b4e9'];
const MARGIN = { left: 76, right: 10, top: 8, bottom: 22 };
const GRID_LINES = 4;
const SECOND_MS = 1000;

/** A line of a graph. */
export interface Line extends Answer {
  readonly name: string;
}

/** Pixels. */
interface Size {
  readonly width: number;
  readonly height: number;
}

/** Lines over time with axes, and below them their names. */
export function graph(lines: readonly Line[], range: TimeRange, size: Size): string {
  const inner = { width: size.width - MARGIN.left - MARGIN.right, height: size.height - MARGIN.top - MARGIN.bottom };
  const top = roundUp(Math.max(1, ...lines.flatMap(({ points }) => points.map(([, value]) => value))));
  const x = (seconds: number) =>
    MARGIN.left + ((seconds * SECOND_MS - range.fromMs) / (range.toMs - range.fromMs)) * inner.width;
  const y = (value: number) => MARGIN.top + (1 - value / top) * inner.height;
  const paths = lines.map(({ points }, index) => {
    const path = points.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
    return `<polyline points="${path}" fill="none" stroke="${COLORS[index % COLORS.length]}" stroke-width="2"/>`;
  });
  const levels = Array.from({ length: GRID_LINES + 1 }, (_, index) => (top * index) / GRID_LINES).map(
    (value) =>
      `<line x1="${MARGIN.left}" x2="${size.width - MARGIN.right}" y1="${y(value)}" y2="${y(value)}" class="grid"/>` +
      `<text x="${MARGIN.left - 8}" y="${y(value) + 4}" text-anchor="end">${readableBytes(value)}/s</text>`,
  );
  return (
    `<svg width="${size.width}" height="${size.height}">${levels.join('')}${times(range, x, size.height)}` +
    `${paths.join('')}</svg><div class="legend">${lines.map(legend).join('')}</div>`
  );
}

function legend({ name }: Line, index: number): string {
  return `<span><i style="background:${COLORS[index % COLORS.length]}"></i>${escapeHtml(name)}</span>`;
}

/** The time below the graph, as seconds since its begin. */
function times({ fromMs, toMs }: TimeRange, x: (seconds: number) => number, height: number): string {
  const length = Math.floor((toMs - fromMs) / SECOND_MS);
  const step = Math.ceil(length / 5 / 10) * 10;
  const marks = Array.from({ length: Math.floor(length / step) + 1 }, (_, index) => index * step);
  return marks
    .map((at) => `<text x="${x(fromMs / SECOND_MS + at)}" y="${height - 5}" text-anchor="middle">${at} s</text>`)
    .join('');
}

/** The next of 1, 2, 4, 6, 8 with zeros: what an axis ends at. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 6, 8].find((digit) => digit * power >= value) ?? 10) * power;
}
