import type { Daemons } from '@egressd/world/daemons/daemons';
import { overview, type Panel } from '../dashboards/panels.ts';

const SECOND_MS = 1000;
/** The demo exports every second: Grafana would choose four times the interval, and somewhat more gives calmer lines. */
const RATE_INTERVAL = '10s';

/** A series of numbers over time, or one number. */
export interface Answer {
  readonly labels: Readonly<Record<string, string>>;
  /** Unix seconds and values. */
  readonly points: readonly (readonly [number, number])[];
}

/** A panel with what the database answered. */
export interface AnsweredPanel {
  readonly panel: Panel;
  readonly answers: readonly Answer[];
}

/** A section of the dashboard that has any numbers. */
export interface AnsweredSection {
  readonly title: string;
  readonly panels: readonly AnsweredPanel[];
}

/** The time that the dashboard shows, in Unix milliseconds. */
export interface TimeRange {
  readonly fromMs: number;
  readonly toMs: number;
}

/** https://prometheus.io/docs/prometheus/latest/querying/api/ */
interface Response {
  readonly data: {
    readonly result: readonly {
      readonly metric: Readonly<Record<string, string>>;
      readonly value?: readonly [number, string];
      readonly values?: readonly (readonly [number, string])[];
    }[];
  };
}

/** Asks the database what the overview dashboard asks. Sections without any answer are left out: nothing scrapes the daemons here. */
export async function answerOverview(daemons: Daemons, range: TimeRange): Promise<AnsweredSection[]> {
  const sections: AnsweredSection[] = [];
  for (const { title, panels } of overview('counter')) {
    const answered = await Promise.all(
      panels.map(async (panel) => ({ panel, answers: await ask(daemons, panel, range) })),
    );
    if (answered.some(({ answers }) => answers.length > 0)) sections.push({ title, panels: answered });
  }
  return sections;
}

/** Asks at one moment. @returns one answer a query, in their order */
export function askOnce(daemons: Daemons, queries: readonly string[], timeMs: number): Promise<Answer[][]> {
  return Promise.all(queries.map((query) => ask(daemons, { kind: 'table', query }, { fromMs: timeMs, toMs: timeMs })));
}

async function ask(
  daemons: Daemons,
  { kind, query }: Pick<Panel, 'kind' | 'query'>,
  { fromMs, toMs }: TimeRange,
): Promise<Answer[]> {
  const variables: Readonly<Record<string, string>> = {
    $__range: `${toMs - fromMs}ms`,
    $__rate_interval: RATE_INTERVAL,
    $cluster: '.*',
    $namespace: '.*',
  };
  const [from, to] = [fromMs, toMs].map((ms) => String(ms / SECOND_MS)) as [string, string];
  const time = kind === 'graph' ? { start: from, end: to, step: '1s' } : { time: to };
  const expression = query.replace(/\$\w+/g, (name) => variables[name] ?? name);
  const parameters = new URLSearchParams({ query: expression, nocache: '1', ...time });
  const body = await daemons.query(`/api/v1/query${kind === 'graph' ? '_range' : ''}?${parameters}`);
  return (JSON.parse(body) as Response).data.result.map(({ metric, value, values }) => ({
    labels: metric,
    points: (values ?? (value === undefined ? [] : [value])).map(([at, text]) => [at, Number(text)] as const),
  }));
}
