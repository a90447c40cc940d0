import { performance } from 'node:perf_hooks';
import { Counter, type Registry } from 'prom-client';

/**
 * How busy the event loop of the main thread is: exact, and free, because libuv counts the time that it waits. There is no lag
 * (delay) of the event loop beside it: to measure one takes a timer, and each call of that wakes an idle daemon. Node's own,
 * `monitorEventLoopDelay`, has the interval of its timer in every value, and loses what blocks the loop just after a reset.
 */
export function registerEventLoopMetrics(registry: Registry): void {
  let countedMs = 0;
  new Counter({
    name: 'nodejs_eventloop_active_seconds_total',
    help: 'Seconds that the event loop of the main thread was busy: its rate is the utilization, near 0 on an idle daemon, 1 where it is blocked.',
    registers: [registry],
    collect() {
      const { active } = performance.eventLoopUtilization();
      if (active <= countedMs) return;
      this.inc((active - countedMs) / 1000);
      countedMs = active;
    },
  });
}
