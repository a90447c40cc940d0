import { readFileSync } from 'node:fs';
import { type Sample, type Trend, trendOf } from './slope.ts';

const SAMPLE_MS = 5000;
const MIB = 1024 * 1024;
/** Of the time, until caches are warm, all pairs known and all code compiled. */
const WARM_UP = 1 / 3;
/** A smaller rise, over what was measured, cannot be distinguished from the noise of the garbage collector. */
const LEAST_RISE = 0.03;

/** What became of one daemon's memory. */
export interface Growth {
  readonly name: string;
  /** MiB, after the warm-up. */
  readonly trend: Trend;
  /** It rises, surely, and by more than `LEAST_RISE` of itself. */
  readonly grows: boolean;
}

/** Follows the resident memory of daemons that are never restarted. */
export class MemoryWatch {
  readonly #began = performance.now();
  readonly #samples = new Map<string, Sample[]>();
  readonly #timer: NodeJS.Timeout;

  /** @param pids by name */
  constructor(pids: Readonly<Record<string, number>>) {
    this.#timer = setInterval(() => {
      const seconds = (performance.now() - this.#began) / 1000;
      for (const [name, pid] of Object.entries(pids)) {
        const samples = this.#samples.get(name) ?? [];
        this.#samples.set(name, samples);
        samples.push({ seconds, value: residentMiB(pid) });
      }
    }, SAMPLE_MS);
  }

  /** As it is now: `exporter 81 MiB, ...`. */
  get now(): string {
    return [...this.#samples].map(([name, all]) => `${name} ${all.at(-1)!.value.toFixed(1)} MiB`).join(', ');
  }

  stop(): Growth[] {
    clearInterval(this.#timer);
    return [...this.#samples].map(([name, all]) => growthOf(name, all));
  }
}

/** @param all samples from the beginning, warm-up included */
export function growthOf(name: string, all: readonly Sample[]): Growth {
  const end = all.at(-1)!.seconds;
  const warm = all.filter(({ seconds }) => seconds >= end * WARM_UP);
  const trend = trendOf(warm);
  const hours = (end - warm[0]!.seconds) / 3600;
  return { name, trend, grows: trend.leastPerHour > 0 && trend.perHour * hours > trend.median * LEAST_RISE };
}

/** Resident set, `VmRSS` of proc(5). @throws Error where the process is gone */
function residentMiB(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return (Number(kilobytes) * 1024) / MIB;
}
