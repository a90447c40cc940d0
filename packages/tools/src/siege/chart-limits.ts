import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

const VALUES = new URL('../../../../deploy/chart/egressd/values.yaml', import.meta.url);

const UNITS: Readonly<Record<string, number>> = { Mi: 1024 ** 2, Gi: 1024 ** 3 };

/** What the chart gives each daemon by default. */
export interface ChartLimits {
  readonly collectorBytes: number;
  readonly exporterBytes: number;
  /** What Node.js is started with in the exporter's container. */
  readonly exporterNodeOptions: string;
}

/** Reads them from the chart's values. */
export function chartLimits(): ChartLimits {
  const { collector, exporter } = parse(readFileSync(VALUES, 'utf8'));
  return {
    collectorBytes: bytesOf(collector.resources.limits.memory),
    exporterBytes: bytesOf(exporter.resources.limits.memory),
    exporterNodeOptions: `--max-old-space-size-percentage=${exporter.heapPercentage}`,
  };
}

/** A quantity of memory as Kubernetes writes it, `512Mi` for example. @throws Error for another kind of quantity */
export function bytesOf(quantity: string): number {
  const [, number, unit] = /^(\d+)(Mi|Gi)$/.exec(quantity) ?? [];
  if (number === undefined) throw new Error(`not a quantity of memory that is known here: ${quantity}`);
  return Number(number) * UNITS[unit!]!;
}
