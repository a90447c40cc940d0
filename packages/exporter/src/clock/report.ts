import { directionOf, warnAboutStep } from '@egressd/daemon/clock-steps';
import { type Log, LogLimiter } from '@egressd/daemon/log';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { ClockObserver } from './cluster-clock.ts';

/** Logs and counts what becomes known of the exporter's own clock. */
export function clockReport(log: Log, registry: Registry): ClockObserver {
  const registers = [registry];
  const steps = new Counter({
    name: 'egressd_exporter_clock_steps_total',
    help: "Times that the exporter's own clock was set, by direction (forward, back). Nothing is lost by it. If it grows, see the time service (NTP) of its node.",
    labelNames: ['direction'] as const,
    registers,
  });
  for (const direction of ['forward', 'back'] as const) steps.inc({ direction }, 0);
  const off = new Gauge({
    name: 'egressd_exporter_clock_off_seconds',
    help: "How far the exporter's own clock is ahead of the one on which most of the nodes agree (negative: behind); 0: it is right, or fewer than two nodes are connected. The nodes' time is used instead. Set its clock right (NTP).",
    registers,
  });
  off.set(0);
  const limiter = new LogLimiter();
  return {
    stepped(step) {
      steps.inc({ direction: directionOf(step) });
      limiter.limit('stepped', () => warnAboutStep(log, 'clock of the exporter was set', step));
    },
    corrected(correctionMs) {
      off.set(-correctionMs / 1000);
      if (correctionMs === 0) return log.info('clock of the exporter agrees with the nodes again');
      log.warn('clock of the exporter is off: most nodes agree on another time, which is used instead', {
        clock: correctionMs < 0 ? 'ahead' : 'behind',
        seconds: Math.round(Math.abs(correctionMs) / 1000),
        advice: "set the clock of the exporter's node right (NTP)",
      });
    },
  };
}
