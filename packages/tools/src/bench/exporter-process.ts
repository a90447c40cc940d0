import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

const START_LIMIT_MS = 60_000;
const ASK_AGAIN_MS = 50;

/** Resident memory of a process, MiB. */
export interface Resident {
  readonly now: number;
  /** The most it ever was. */
  readonly peak: number;
}

/** Of a process that runs: proc(5) `status`. */
export async function residentOf(pid: number): Promise<Resident> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const mib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)![1]) / 1024;
  return { now: mib('VmRSS'), peak: mib('VmHWM') };
}

/** The ports that an exporter has taken: its log on stderr says so. @throws Error where it does not start */
export async function listeningPorts(child: ChildProcess): Promise<{ http: number; grpc: number }> {
  let text = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  const limit = Date.now() + START_LIMIT_MS;
  while (Date.now() < limit && child.exitCode === null) {
    const line = /msg=listening .*/.exec(text)?.[0] ?? '';
    const [, grpc] = / collectors=\S*:(\d+)/.exec(line) ?? [];
    const [, http] = / http=(\d+)/.exec(line) ?? [];
    if (http !== undefined && grpc !== undefined) return { http: Number(http), grpc: Number(grpc) };
    await pause(ASK_AGAIN_MS);
  }
  throw new Error(`the exporter does not start:\n${text.slice(0, 2000)}`);
}
