import { inOurTime } from '../clock/node-clocks.ts';
import type { PodFacts } from './pod-record.ts';

/**
 * A pod with its times by our clock: its kubelet has written them by that of its node.
 * @param aheadMs how far that clock is ahead of ours; undefined: not known yet
 */
export function podInOurTime(facts: PodFacts, aheadMs: number | undefined): PodFacts {
  const { pod, endedMs } = facts;
  const since = pod.fromMs === undefined ? {} : { fromMs: inOurTime(pod.fromMs, aheadMs) };
  const unsettled = aheadMs === undefined && pod.fromMs !== undefined ? { byNodeClock: true } : {};
  return {
    ...facts,
    pod: { ...pod, ...since, ...unsettled },
    endedMs: endedMs === undefined ? undefined : inOurTime(endedMs, aheadMs),
  };
}
