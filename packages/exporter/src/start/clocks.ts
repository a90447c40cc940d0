import type { ClusterClock } from '../clock/cluster-clock.ts';
import { differs, type NodeClocks } from '../clock/node-clocks.ts';
import type { OwnerRegistry } from '../owners/registry.ts';

/**
 * The nodes' clocks. Where one turns out to differ, so do the times of its pods that were read before; it may turn out only as our own clock
 * is found to be off.
 */
export function nodeClocks(clock: ClusterClock, owners: OwnerRegistry): NodeClocks {
  const settle = (node: string): void => {
    const aheadMs = clock.aheadOf(node);
    if (aheadMs !== undefined && differs(aheadMs)) owners.settleClock(node, aheadMs);
  };
  clock.onMoved(({ learned }) => {
    if (learned) for (const node of clock.nodes) settle(node);
  });
  return {
    take(node, nodeMs) {
      const known = clock.aheadOf(node) !== undefined;
      clock.take(node, nodeMs);
      if (!known) settle(node);
    },
    aheadOf: (node) => clock.aheadOf(node),
    forget: (node) => clock.forget(node),
  };
}
