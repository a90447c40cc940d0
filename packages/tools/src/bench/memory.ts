import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { daemonCommand } from '@egressd/world/daemons/daemon-command';
import { stopProcess } from '@egressd/world/network/commands';
import { type Connections, inside } from './connections.ts';

const READS = 12;
const READ_INTERVAL_MS = 2000;
const START_LIMIT_MS = 20_000;

const PRINT_METRICS = "fetch('http://127.0.0.1:8008/metrics').then((answer) => answer.text()).then(console.log)";

/** Resident memory of a collector, MiB. */
export interface MemoryResult {
  readonly residentMiB: number;
  readonly peakMiB: number;
}

/**
 * A real collector with a real exporter reads the connections a dozen times, every counter moving before each. It is started once
 * before: sources are compiled at their first start, and kept so, as they are in an image.
 */
export async function benchMemory(
  connections: Pick<Connections, 'namespace' | 'send'>,
  environment: Readonly<Record<string, string>> = {},
): Promise<MemoryResult> {
  await runCollector(connections, environment, 1);
  return runCollector(connections, environment, READS);
}

async function runCollector(
  connections: Pick<Connections, 'namespace' | 'send'>,
  environment: Readonly<Record<string, string>>,
  count: number,
): Promise<MemoryResult> {
  const run = (name: 'collector' | 'exporter', ...flags: string[]) =>
    spawn('ip', ['netns', 'exec', connections.namespace, ...daemonCommand(name), ...flags], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, NODE_NAME: 'bench', ...environment },
    });
  const exporter = run('exporter', '-log-level=error');
  const collector = run('collector', '-log-level=error', `-read-interval=${READ_INTERVAL_MS}ms`);
  try {
    await reads(connections.namespace, collector, 1);
    for (let i = 1; i < count; i++) {
      await connections.send(1);
      await reads(connections.namespace, collector, i + 1);
    }
    const status = await readFile(`/proc/${collector.pid}/status`, 'utf8');
    const mib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)![1]) / 1024;
    return { residentMiB: mib('VmRSS'), peakMiB: mib('VmHWM') };
  } finally {
    await stopProcess(collector, 12_000);
    await stopProcess(exporter, 12_000);
  }
}

/** Waits until the collector has read the table so often. */
async function reads(namespace: string, collector: ChildProcess, count: number): Promise<void> {
  const limit = Date.now() + START_LIMIT_MS + count * READ_INTERVAL_MS;
  while (Date.now() < limit) {
    if (collector.exitCode !== null) throw new Error(`the collector ended with ${collector.exitCode}`);
    const text = await inside(namespace, process.execPath, '-e', PRINT_METRICS).catch(() => '');
    const seen = /^egressd_collector_conntrack_reads_total\{result="complete"\} (\d+)/m.exec(text)?.[1];
    if (Number(seen ?? 0) >= count) return;
    await pause(100);
  }
  throw new Error(`the collector did not read the table ${count} times in time`);
}
