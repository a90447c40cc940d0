import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import type { Memory } from './budget.ts';

/** What this process may take: the limit of its cgroup (either version), or the machine's memory where that is less; and V8's heap limit. */
export function availableMemory(): Memory {
  // 0, or more than there is: no limit.
  const limit = process.constrainedMemory();
  const total = limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  return { total, heap: Math.min(getHeapStatistics().heap_size_limit, total) };
}
