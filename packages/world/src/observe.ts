import { createLog, type Log } from '@egressd/daemon/log';
import type { Registry } from 'prom-client';

/** A log that keeps its lines. */
export class KeptLog {
  readonly lines: string[] = [];
  readonly log: Log = createLog('debug', (line) => this.lines.push(line));

  /** Whether a line has all these words. */
  says(...words: readonly string[]): boolean {
    return this.lines.some((line) => words.every((word) => line.includes(word)));
  }
}

/** The value of a self metric, 0 where it has none yet. */
export async function metric(registry: Registry, name: string, labels: Record<string, string> = {}): Promise<number> {
  const values = (await registry.getSingleMetric(name)?.get())?.values ?? [];
  const found = values.find(({ labels: has }) => Object.entries(labels).every(([key, value]) => has[key] === value));
  return found?.value ?? 0;
}

/** Waits until something is so; says what was awaited where it never becomes so. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>, timeoutMs = 15_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
