/** What the overview shows, without saying how it is drawn: `grafana.ts` does that. */

/** How the database holds traffic: remote write's counters, or deltas with send-traffic-delta. */
export type DeliveryMode = 'counter' | 'delta';

/** One thing that is shown. */
export interface Panel {
  readonly title: string;
  /** For a reader who asks what the number is. */
  readonly description: string;
  readonly kind: 'number' | 'graph' | 'table';
  readonly unit: 'bytes' | 'Bps' | 'short' | 's' | 'percentunit';
  readonly query: string;
  /** Of a graph's line, with {{label}}. */
  readonly legend?: string;
  /** Of the grid's 24 columns. */
  readonly width: number;
}

/** Panels under one heading. */
export interface Section {
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** What may be chosen: an empty label passes too, since the usual choice is everything. */
const CHOSEN = 'cluster=~"$cluster",src_namespace=~"$namespace"';
const SENT = 'egressd_transmit_bytes_total';

/** The queries for one delivery mode. */
class Queries {
  readonly #mode: DeliveryMode;

  constructor(mode: DeliveryMode) {
    this.#mode = mode;
  }

  /** Bytes in the range that the dashboard shows. */
  inRange(by: string, selector = ''): string {
    const over = this.#mode === 'counter' ? 'increase' : 'sum_over_time';
    return `sum${byOf(by)} (${over}(${select(selector)}[$__range]))`;
  }

  /** Bytes a second at each moment. */
  perSecond(by: string, selector = ''): string {
    if (this.#mode === 'counter') return `sum${byOf(by)} (rate(${select(selector)}[$__rate_interval]))`;
    return `sum${byOf(by)} (sum_over_time(${select(selector)}[$__interval])) * 1000 / $__interval_ms`;
  }

  /** The largest in the range. */
  top(by: string, selector = ''): string {
    return `topk(20, ${this.inRange(by, selector)})`;
  }
}

function select(selector: string): string {
  return `${SENT}{${[CHOSEN, selector].filter(Boolean).join(',')}}`;
}

function byOf(by: string): string {
  return by === '' ? '' : ` by (${by})`;
}

const INTERNET = 'dst_ip_type="public"';
const ACROSS_ZONES = 'cross_zone="true"';
const ZONES = 'src_zone,dst_zone';

/** Which label set the sink has: docs/series.md. */
export type DashboardSet = 'pods' | 'workloads';

/** What the tables of a set are about. */
interface Names {
  /** In a title, and in a sentence. */
  readonly many: string;
  readonly one: string;
  readonly source: string;
  readonly destination: string;
  /** That the other end is one of them. */
  readonly known: string;
  readonly outside: Pick<Panel, 'title' | 'description'> & { readonly by: string };
}

const NAMES: Readonly<Record<DashboardSet, Names>> = {
  pods: {
    many: 'Pods',
    one: 'pods',
    source: 'src_namespace,src_pod',
    destination: 'dst_namespace,dst_pod',
    known: 'dst_pod!=""',
    outside: {
      title: 'Public addresses',
      description: 'Where it went. 0.0.0.0 and :: stand for all, where group-public-ips is set.',
      by: 'dst_ip',
    },
  },
  workloads: {
    many: 'Workloads',
    one: 'workloads',
    source: 'src_namespace,src_workload_kind,src_workload',
    destination: 'dst_namespace,dst_workload_kind,dst_workload',
    known: 'dst_workload!=""',
    outside: {
      title: 'Outside, by network',
      description:
        'Networks and clouds of the configuration, with their region; without a name: the rest of the internet.',
      by: 'dst_network,dst_region',
    },
  },
};

/** All sections of the overview. */
export function overview(mode: DeliveryMode, set: DashboardSet = 'pods'): Section[] {
  const queries = new Queries(mode);
  return [sums(queries), overTime(queries), largest(queries, NAMES[set]), HEALTH];
}

function sums(queries: Queries): Section {
  const number = (title: string, description: string, query: string): Panel => ({
    ...{ title, description, query, kind: 'number', unit: 'bytes', width: 8 },
  });
  return {
    title: 'In the time shown',
    panels: [
      number('To the internet', 'What pods sent to public addresses.', queries.inRange('', INTERNET)),
      number(
        'Across zones',
        'What pods sent to another zone. Counted where both zones are known.',
        queries.inRange('', ACROSS_ZONES),
      ),
      number('All that pods sent', 'To wherever it went.', queries.inRange('')),
    ],
  };
}

function overTime(queries: Queries): Section {
  const graph = (title: string, description: string, query: string, legend: string): Panel => ({
    ...{ title, description, query, legend, kind: 'graph', unit: 'Bps', width: 12 },
  });
  return {
    title: 'Over time',
    panels: [
      graph(
        'Traffic',
        'What pods sent, by kind of destination and whether it crossed zones.',
        queries.perSecond('dst_ip_type,cross_zone'),
        '{{dst_ip_type}}, crosses zones: {{cross_zone}}',
      ),
      graph(
        'Zone to zone',
        'What pods of one zone sent to pods and nodes of another.',
        queries.perSecond(ZONES, ACROSS_ZONES),
        '{{src_zone}} to {{dst_zone}}',
      ),
      graph(
        'To the internet, by namespace',
        'What pods sent to public addresses.',
        queries.perSecond('src_namespace', INTERNET),
        '{{src_namespace}}',
      ),
      graph('By namespace', 'All that pods sent.', queries.perSecond('src_namespace'), '{{src_namespace}}'),
    ],
  };
}

function largest(queries: Queries, { many, one, source, destination, known, outside }: Names): Section {
  const both = `${source},${destination}`;
  const table = (title: string, description: string, query: string): Panel => ({
    ...{ title, description, query, kind: 'table', unit: 'bytes', width: 12 },
  });
  return {
    title: 'Largest in the time shown',
    panels: [
      table(`${many}, to the internet`, 'Who sent most to public addresses.', queries.top(source, INTERNET)),
      table(`${many}, across zones`, 'Who sent most to another zone.', queries.top(source, ACROSS_ZONES)),
      table(
        'Who to whom, across zones',
        `Pairs of ${one}; no destination: a node, or not known.`,
        queries.top(both, ACROSS_ZONES),
      ),
      table('Who to whom', `Pairs of ${one}, wherever they are.`, queries.top(both, known)),
      table(
        'From zone to zone',
        'All that was sent between zones that are known.',
        queries.top(ZONES, 'src_zone!="",dst_zone!=""'),
      ),
      table(outside.title, outside.description, queries.top(outside.by, INTERNET)),
    ],
  };
}

/** Of egressd itself: empty unless its own metrics are scraped (monitoring.podMonitor and monitoring.serviceMonitor of the chart). */
const HEALTH: Section = {
  title: 'egressd itself, where its own metrics are scraped',
  panels: [
    {
      title: 'Collector streams',
      description: 'Collectors whose stream to the exporter is open.',
      kind: 'graph',
      unit: 'short',
      query: 'sum(egressd_exporter_receiver_streams)',
      legend: 'streams',
      width: 8,
    },
    {
      title: 'Sink backlog',
      description:
        'Age of the oldest snapshot that a sink has not accepted. Growing: the sink is unavailable or too slow; no byte is lost.',
      kind: 'graph',
      unit: 's',
      query: 'max by (sink) (egressd_exporter_sink_pending_age_seconds)',
      legend: '{{sink}}',
      width: 8,
    },
    {
      title: 'Unknown owner',
      description: 'Bytes a second of flows with an address of the cluster of which no pod is known as the owner.',
      kind: 'graph',
      unit: 'Bps',
      query: 'sum(rate(egressd_exporter_unknown_owner_bytes_total[$__rate_interval]))',
      legend: 'unknown',
      width: 8,
    },
  ],
};
