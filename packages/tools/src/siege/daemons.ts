import type { DaemonsOptions } from '@egressd/world/daemons/daemons';
import { NODES } from '@egressd/world/network/layout';
import { chartLimits } from './chart-limits.ts';
import { MemoryCgroup } from './memory-cgroup.ts';
import type { Row } from './row.ts';

const LOOK_AGAIN_MS = 100;

/** Cgroups of the daemons, with the chart's limits, and how the daemons are started in them. */
export interface Cells extends Disposable {
  readonly options: DaemonsOptions;
  /** Processes that the kernel has ended for want of memory. */
  readonly kills: number;
  /** Highest working sets since the beginning, bytes. */
  readonly highest: { readonly collector: number; readonly exporter: number };
}

/** Makes a cgroup a daemon. */
export function makeCells(row: Row): Cells {
  const { collectorBytes, exporterBytes, exporterNodeOptions } = chartLimits();
  const exporter = new MemoryCgroup('exporter', exporterBytes);
  const collectors = new Map(NODES.map(({ name }) => [name, new MemoryCgroup(name, collectorBytes)] as const));
  const all = [exporter, ...collectors.values()];
  const highest = { collector: 0, exporter: 0 };
  const timer = setInterval(() => {
    highest.exporter = Math.max(highest.exporter, exporter.workingSet);
    for (const collector of collectors.values()) highest.collector = Math.max(highest.collector, collector.workingSet);
  }, LOOK_AGAIN_MS);
  return {
    highest,
    get kills() {
      return all.reduce((sum, { kills }) => sum + kills, 0);
    },
    options: {
      owners: 'inventory',
      ...row.daemons,
      collectorStarter: (node) => collectors.get(node)!.starter,
      exporterStarter: [...exporter.starter, 'env', `NODE_OPTIONS=${exporterNodeOptions}`],
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      for (const each of all) each[Symbol.dispose]();
    },
  };
}
