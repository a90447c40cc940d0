import { type DashboardSet, type DeliveryMode, overview, type Panel, type Section } from './panels.ts';

/** https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/ */
const SCHEMA_VERSION = 39;
const ROW_HEIGHT = 1;
const HEIGHT: Readonly<Record<Panel['kind'], number>> = { number: 4, graph: 8, table: 9 };
const COLUMNS = 24;
/** Exports come every minute: a shorter step would show gaps. */
const LEAST_STEP = '1m';
const DATASOURCE = { type: 'prometheus', uid: '$datasource' };

/** What is said of each delivery mode, and of each label set. */
const OF_MODE: Readonly<Record<DeliveryMode, string>> = {
  counter: '',
  delta: 'The overview where collectors run with send-traffic-delta: true, as charts of the Go version did by default.',
};
const OF_SET: Readonly<Record<DashboardSet, string>> = {
  pods: 'Which pod sends what to whom, across which zones, and what leaves the cluster.',
  workloads: 'Which workload sends what to whom, of a sink with labelSet: workloads.',
};

function heading(mode: DeliveryMode, set: DashboardSet): { uid: string; title: string; description: string } {
  const [uid, title] =
    set === 'pods' ? ['egressd-overview', 'egressd: overview'] : ['egressd-workloads', 'egressd: workloads'];
  if (mode === 'counter') return { uid, title, description: OF_SET[set] };
  return {
    uid: `${uid}-delta`,
    title: `${title} (deltas)`,
    description: set === 'pods' ? OF_MODE[mode] : `${OF_SET[set]} ${OF_MODE[mode]}`,
  };
}

/** The overview as Grafana imports it. */
export function dashboard(mode: DeliveryMode, set: DashboardSet): object {
  return {
    ...heading(mode, set),
    tags: ['egressd'],
    schemaVersion: SCHEMA_VERSION,
    editable: true,
    graphTooltip: 1,
    refresh: '1m',
    time: { from: 'now-6h', to: 'now' },
    timezone: 'browser',
    templating: { list: variables() },
    panels: layOut(overview(mode, set)),
  };
}

function variables(): object[] {
  const choice = (name: string, label: string, query: string) => ({
    ...{ name, label, query: { query, refId: name }, definition: query },
    ...{ type: 'query', datasource: DATASOURCE, refresh: 2, sort: 1, includeAll: true, multi: true, allValue: '.*' },
    current: { selected: true, text: ['All'], value: ['$__all'] },
  });
  return [
    { name: 'datasource', label: 'Database', type: 'datasource', query: 'prometheus', current: {} },
    choice('cluster', 'Cluster', 'label_values(egressd_transmit_bytes_total, cluster)'),
    choice('namespace', 'Namespace', 'label_values(egressd_transmit_bytes_total{cluster=~"$cluster"}, src_namespace)'),
  ];
}

/** Section by section, each under its heading, panels from left to right. */
function layOut(sections: readonly Section[]): object[] {
  const panels: object[] = [];
  let y = 0;
  for (const { title, panels: inside } of sections) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title,
      collapsed: false,
      panels: [],
      gridPos: { x: 0, y, w: COLUMNS, h: ROW_HEIGHT },
    });
    y += ROW_HEIGHT;
    let x = 0;
    let height = 0;
    for (const panel of inside) {
      if (x + panel.width > COLUMNS) {
        y += height;
        [x, height] = [0, 0];
      }
      panels.push({ id: panels.length + 1, ...draw(panel), gridPos: { x, y, w: panel.width, h: HEIGHT[panel.kind] } });
      x += panel.width;
      height = Math.max(height, HEIGHT[panel.kind]);
    }
    y += height;
  }
  return panels;
}

const TYPES: Readonly<Record<Panel['kind'], string>> = { number: 'stat', graph: 'timeseries', table: 'table' };

function draw({ kind, title, description, unit, query, legend }: Panel): object {
  const target = {
    refId: 'A',
    datasource: DATASOURCE,
    expr: query,
    ...(kind === 'graph' ? { legendFormat: legend } : { instant: true }),
    ...(kind === 'table' ? { format: 'table' } : {}),
  };
  return {
    type: TYPES[kind],
    title,
    description,
    datasource: DATASOURCE,
    interval: LEAST_STEP,
    targets: [target],
    fieldConfig: {
      defaults: { unit, ...(kind === 'graph' ? { custom: { fillOpacity: 10, showPoints: 'never' } } : {}) },
      overrides: [],
    },
    ...(kind === 'number' ? { options: { reduceOptions: { calcs: ['lastNotNull'] }, colorMode: 'none' } } : {}),
    ...(kind === 'table' ? { transformations: tidy() } : {}),
  };
}

/** Without the moment of the query, the largest first. */
function tidy(): object[] {
  return [
    { id: 'organize', options: { excludeByName: { Time: true }, renameByName: { Value: 'bytes' } } },
    { id: 'sortBy', options: { sort: [{ field: 'bytes', desc: true }] } },
  ];
}
