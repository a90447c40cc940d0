import type { Log } from '@egressd/daemon/log';
import { type Budget, budgetOf } from '../budget/budget.ts';
import { availableMemory } from '../budget/memory.ts';
import type { ExporterConfig } from '../config/config.ts';
import { streamLimit } from '../receiver/stream-limit.ts';

const MIB = 1024 * 1024;

/** What follows from the memory that this process may take, with no more series than the sinks send. Says so in the log. */
export function memoryBudget({ sinks }: ExporterConfig, log: Log): Budget {
  const memory = availableMemory();
  const budget = budgetOf(memory);
  const wanted = Math.max(...sinks.map(({ settings }) => settings.maxSeries));
  const series = sinks.length === 0 ? budget.series : Math.min(budget.series, wanted);
  const { streams, by } = streamLimit(budget.streams);
  const mib = (bytes: number) => Math.round(bytes / MIB);
  log.info('memory budget', {
    memory_mib: mib(memory.total),
    heap_mib: mib(memory.heap),
    series,
    streams,
    streams_limited_by: by,
  });
  if (sinks.length > 0 && wanted > budget.series)
    log.warn('maxSeries of a sink is more than the memory allows, series are folded before', {
      maxSeries: wanted,
      series,
      advice: 'give the exporter more memory',
    });
  return { ...budget, series };
}
