import { fileURLToPath } from 'node:url';
import { dashboard } from './grafana.ts';

const FOLDER = fileURLToPath(new URL('../../../../deploy/chart/egressd/dashboards/', import.meta.url));

/** The chart's dashboards: path -> content. */
export function dashboardFiles(): Map<string, string> {
  const text = (object: object) => `${JSON.stringify(object, undefined, 2)}\n`;
  return new Map([
    [`${FOLDER}egressd-overview.json`, text(dashboard('counter', 'pods'))],
    [`${FOLDER}egressd-overview-delta.json`, text(dashboard('delta', 'pods'))],
    [`${FOLDER}egressd-workloads.json`, text(dashboard('counter', 'workloads'))],
    [`${FOLDER}egressd-workloads-delta.json`, text(dashboard('delta', 'workloads'))],
  ]);
}
