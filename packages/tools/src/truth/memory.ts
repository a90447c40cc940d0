import { readFileSync } from 'node:fs';
import type { Daemons } from '@egressd/world/daemons/daemons';

const ASK_AGAIN_MS = 250;

/** Highest memory of one kind of daemon, in bytes. */
export interface HighestMemory {
  readonly collector: number;
  readonly exporter: number;
}

/** Watches how much memory the daemons take, over their restarts. */
export function watchMemory({ collectors, exporter }: Daemons): { stop(): HighestMemory } {
  const highest = { collector: 0, exporter: 0 };
  const look = () => {
    for (const { pid } of collectors) highest.collector = Math.max(highest.collector, highWaterMark(pid));
    highest.exporter = Math.max(highest.exporter, highWaterMark(exporter.pid));
  };
  const timer = setInterval(look, ASK_AGAIN_MS);
  return {
    stop() {
      clearInterval(timer);
      look();
      return highest;
    },
  };
}

/** Peak resident set of a process in bytes, VmHWM of proc(5); 0 where it is gone. */
function highWaterMark(pid: number | undefined): number {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kilobytes ?? 0) * 1024;
  } catch {
    return 0;
  }
}
