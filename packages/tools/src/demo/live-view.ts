import { type Column, readableBytes, textTable } from './text-table.ts';

/** A row of the live table: labels of the traffic series, bytes sent a second, sent in all, and received in all. */
export interface LiveRow {
  readonly labels: Readonly<Record<string, string>>;
  readonly rate: number;
  readonly total: number;
  readonly received: number;
}

/** As much of a terminal as we need. */
interface Screen {
  readonly rows: number;
  readonly columns: number;
}

/** On a screen the table begins at its top left corner, and what stood there before is wiped. */
const HOME_AND_CLEAR = '\x1b[H\x1b[2J\x1b[3J';
const BOLD = (text: string) => `\x1b[1m${text}\x1b[0m`;
const YELLOW = (text: string) => `\x1b[33m${text}\x1b[0m`;
/** Where there is no screen that sets a bound. */
const MANY_ROWS = 40;

const LEFT = (title: string): Column => ({ title, align: 'left' });
const RIGHT = (title: string): Column => ({ title, align: 'right' });
const FLOWS = [
  ...['SOURCE', 'ZONE', 'DESTINATION', 'ZONE', 'PROTO'].map(LEFT),
  ...['RATE', 'SENT', 'RECEIVED'].map(RIGHT),
  LEFT('SCOPE'),
];
const ZONES = [LEFT('FROM ZONE'), LEFT('TO ZONE'), ...['RATE', 'SENT', 'RECEIVED'].map(RIGHT)];

/** What is said where a zone is not known. */
function zoneOf(labels: LiveRow['labels'], zone: 'src_zone' | 'dst_zone'): string {
  return labels[zone] || (labels.scope === 'internet' ? 'internet' : '-');
}

/** What is of a node and of no pod that Kubernetes knows is the node's. */
function sourceOf({ src_namespace, src_pod, src_node, src_ip = '' }: LiveRow['labels']): string {
  if (src_pod) return `${src_namespace}/${src_pod}`;
  return src_node ? `node ${src_node}` : src_ip;
}

function destinationOf({ dst_namespace, dst_pod, dst_node, dst_ip = '' }: LiveRow['labels']): string {
  if (dst_pod) return `${dst_namespace}/${dst_pod}`;
  return dst_node ? `node ${dst_node}` : dst_ip;
}

function addUp(a: LiveRow, b: LiveRow): LiveRow {
  return { ...a, rate: a.rate + b.rate, total: a.total + b.total, received: a.received + b.received };
}

/** Adds up rows that look the same: those of IPv4 and IPv6 between two pods. Largest first. */
function sumBy(rows: readonly LiveRow[], name: (row: LiveRow) => readonly string[]): Map<string, LiveRow> {
  const sums = new Map<string, LiveRow>();
  for (const row of rows) {
    const key = name(row).join('\n');
    const before = sums.get(key);
    sums.set(key, before === undefined ? row : addUp(row, before));
  }
  return new Map([...sums].toSorted(([, a], [, b]) => b.total + b.received - a.total - a.received));
}

const amounts = ({ rate, total, received }: LiveRow) => [
  `${readableBytes(rate)}/s`,
  readableBytes(total),
  readableBytes(received),
];

function flowTable(rows: readonly LiveRow[], most: number): string[] {
  const ends = ({ labels }: LiveRow) => [
    sourceOf(labels),
    zoneOf(labels, 'src_zone'),
    destinationOf(labels),
    zoneOf(labels, 'dst_zone'),
    labels.proto ?? '',
  ];
  const flows = [...sumBy(rows, ends).values()];
  const lines = flows.slice(0, most).map((row) => [...ends(row), ...amounts(row), row.labels.scope ?? '']);
  const rest = flows.length > most ? [`... and ${flows.length - most} more`] : [];
  return [...textTable(FLOWS, lines), ...rest];
}

function zoneTable(rows: readonly LiveRow[]): string[] {
  const zones = ({ labels }: LiveRow) => [zoneOf(labels, 'src_zone'), zoneOf(labels, 'dst_zone')];
  const sums = [...sumBy(rows, zones).values()];
  return textTable(
    ZONES,
    sums.map((row) => [...zones(row), ...amounts(row)]),
  );
}

/**
 * The whole picture.
 * @param screen not set: plain text, one picture after the other
 */
export function drawLive(rows: readonly LiveRow[], screen: Screen | undefined): string {
  const zones = zoneTable(rows);
  // Title, titles of the columns, blank lines, the line that says how many more there are.
  const most = screen === undefined ? MANY_ROWS : Math.max(3, screen.rows - zones.length - 7);
  const title = 'egressd: who sent how much to whom, as the database has it. Ctrl-C ends it.';
  const [flowTitles = '', ...flows] = flowTable(rows, most);
  const [zoneTitles = '', ...pairs] = zones;
  if (screen === undefined) return `${[title, '', flowTitles, ...flows, '', zoneTitles, ...pairs, ''].join('\n')}\n`;
  const cut = (line: string) => line.slice(0, screen.columns);
  const mark = (line: string) => (/cross_zone|cross_region/.test(line) ? YELLOW(cut(line)) : cut(line));
  const lines = [
    BOLD(cut(title)),
    '',
    BOLD(cut(flowTitles)),
    ...flows.map(mark),
    '',
    BOLD(cut(zoneTitles)),
    ...pairs.map(cut),
  ];
  return `${HOME_AND_CLEAR}${lines.join('\n')}\n`;
}
