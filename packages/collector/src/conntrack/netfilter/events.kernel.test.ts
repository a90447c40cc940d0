import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { TRACK_ALL, useConntrackNamespace } from '../../testing/conntrack-namespace.ts';
import { type RecordFields, recordFields } from '../record-fields.ts';
import type { ConntrackSource, EventLossReport } from '../source.ts';
import { openNetfilterSource } from './source.ts';

const {
  name: NAME,
  file: FILE,
  inside,
} = useConntrackNamespace('events', `ip route add local 10.78.0.0/16 dev lo\n${TRACK_ALL}`);

const SOURCE = JSON.stringify(new URL('./source.ts', import.meta.url).href);

beforeEach(async () => {
  await inside('conntrack', '-F');
});

/** A source that was read once, and the DESTROY events and losses since. */
async function listen(options: { eventBufferBytes?: number; events?: 'on' | 'lossless' } = {}) {
  const ended: RecordFields[] = [];
  const reports: EventLossReport[] = [];
  const source = await openNetfilterSource({ namespace: FILE, events: 'on', ...options });
  source.subscribe!({
    onDestroy: (block) => {
      for (let i = 0; i < block.count; i++) ended.push(recordFields(block, i));
    },
    onEventLoss: (report) => void reports.push(report),
  });
  await source.read(() => {});
  const sum = (of: (report: EventLossReport) => number) => reports.reduce((total, report) => total + of(report), 0);
  return { source, ended, reports, sum };
}

/** Looks again and again until it is so. */
async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 300 && !isSo(); i++) await sleep(100);
  expect(isSo()).toBe(true);
}

const entriesOf = async (source: ConntrackSource) => (await source.read(() => {})).entries;
const datagrams = (count: number, to = '10.78.1.1') =>
  inside('bash', '-c', `for ((i = 1; i <= ${count}; i++)); do echo > /dev/udp/${to}/$((1000 + i)); done`);

describe('a DESTROY event has the final counters of a connection', () => {
  test('a refused one, which no read sees', async () => {
    const { source, ended } = await listen();
    await inside('bash', '-c', 'echo > /dev/tcp/10.77.0.2/81').catch(() => {});
    await until(() => ended.length === 1);
    expect(await entriesOf(source)).toBe(0);
    expect(ended[0]).toMatchObject({
      protocol: 6,
      originalPackets: 1n,
      originalBytes: 60n,
      replyPackets: 1n,
      replyBytes: 40n,
    });
    expect(ended[0]!.start).toBeGreaterThan(0n);
    await source.close();
  });

  test('one that expires', async () => {
    const { source, ended } = await listen();
    await inside('sysctl', '-qw', 'net.netfilter.nf_conntrack_udp_timeout=1');
    await datagrams(1);
    await sleep(1500);
    // The kernel removes it when it comes by, or when a dump does.
    expect(await entriesOf(source)).toBe(0);
    await until(() => ended.length === 1);
    expect(ended[0]).toMatchObject({ protocol: 17, originalPackets: 1n, originalBytes: 29n, replyPackets: 0n });
    await inside('sysctl', '-qw', 'net.netfilter.nf_conntrack_udp_timeout=600');
    await source.close();
  });

  test('one that a process deletes: counted', async () => {
    const { source, ended, sum } = await listen();
    await datagrams(3);
    await inside('conntrack', '-D', '-p', 'udp', '--dport', '1001');
    await inside('conntrack', '-F');
    await until(() => ended.length === 3 && sum(({ deleted }) => deleted) === 3);
    await source.close();
  });

  test('one without counters: left out, and counted', async () => {
    await inside('sysctl', '-qw', 'net.netfilter.nf_conntrack_acct=0');
    await datagrams(2);
    await inside('sysctl', '-qw', 'net.netfilter.nf_conntrack_acct=1');
    const { source, ended, sum } = await listen();
    await inside('conntrack', '-F');
    await until(() => sum(({ skipped }) => skipped.no_counters) === 2);
    expect(ended).toEqual([]);
    await source.close();
  });

  test('one that began before the source was opened', async () => {
    await datagrams(1);
    const { source, ended } = await listen();
    await inside('conntrack', '-F');
    await until(() => ended.length === 1);
    await source.close();
  });
});

test('no events without -conntrack-events', async () => {
  const source = await openNetfilterSource({ namespace: FILE });
  let calls = 0;
  source.subscribe!({ onDestroy: () => void calls++, onEventLoss: () => void calls++ });
  await datagrams(1);
  await source.read(() => {});
  await inside('conntrack', '-F');
  await source.read(() => {});
  await sleep(300);
  expect(calls).toBe(0);
  await source.close();
});

test('events that the buffer has no room for are counted, and the rest goes on', async () => {
  const { source, ended, sum } = await listen({ eventBufferBytes: 4096 });
  const MANY = 2000;
  await datagrams(MANY);
  await inside('conntrack', '-F');
  await until(() => sum(({ overruns }) => overruns) > 0 && ended.length + sum(({ lost }) => lost) === MANY);
  expect(sum(({ lost }) => lost)).toBeGreaterThan(0);
  const before = ended.length;
  await datagrams(1);
  await inside('conntrack', '-F');
  await until(() => ended.length === before + 1);
  await source.close();
});

test('a reading thread that dies leaves a gap, which is reported', async () => {
  const code = `
    const { openNetfilterSource } = await import(${SOURCE});
    const { execFileSync } = await import('node:child_process');
    const workers = [];
    process.on('worker', (worker) => workers.push(worker));
    const source = await openNetfilterSource({ events: 'on' });
    source.subscribe({ onDestroy: ({ count }) => console.log('ended', count), onEventLoss: ({ gaps }) => console.log('gaps', gaps) });
    const read = source.read(() => {});
    workers[0].terminate();
    await read.catch(() => {});
    await source.read(() => {});
    execFileSync('bash', ['-c', 'echo > /dev/tcp/10.77.0.2/81 || true'], { stdio: 'ignore' });
    await source.read(() => {});
    const sockets = (await import('node:fs')).readFileSync('/proc/self/net/netlink', 'latin1').match(/ 00000004 /g);
    console.log('listening', sockets.length);
    await source.close();`;
  const { stdout } = await inside(process.execPath, '--conditions=source', '-e', code);
  expect(stdout).toBe('gaps 1\nended 1\nlistening 1\n');
});

describe('lossless', () => {
  const MANY = 2000;
  /** Room for some hundred. */
  const eventBufferBytes = 65_536;

  test('nothing is lost where the buffer has no room', async () => {
    const { source, ended, reports } = await listen({ events: 'lossless', eventBufferBytes });
    await datagrams(MANY);
    await inside('conntrack', '-F');
    await until(() => ended.length >= MANY);
    expect(new Set(ended.map(({ originalPorts }) => originalPorts.join(' '))).size).toBe(MANY);
    expect(reports.filter(({ overruns, lost }) => overruns + lost > 0)).toEqual([]);
    await source.close();
  });

  /** A program that listens with a buffer that is soon full, and says what changes. */
  const LISTENER = `
    const { openNetfilterSource } = await import(${SOURCE});
    const source = await openNetfilterSource({ events: 'lossless', eventBufferBytes: ${eventBufferBytes} });
    source.subscribe({ onDestroy: () => {}, onEventLoss: () => {}, onLosslessChange: (change) => console.log(change) });
    await source.read(() => {});
    process.stdin.resume().on('end', () => source.close());`;

  async function startListener(): Promise<{ child: ChildProcess; said: () => string }> {
    const flags = ['--conditions=source', '--disable-warning=ExperimentalWarning', '-e', LISTENER];
    const child = spawn('ip', ['netns', 'exec', NAME, process.execPath, ...flags], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout!.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    await until(() => text.includes('resumed'));
    return { child, said: () => text };
  }
  const entries = async () => Number((await inside('sysctl', '-n', 'net.netfilter.nf_conntrack_count')).stdout);

  async function untilNoEntries(): Promise<void> {
    let left = await entries();
    for (let i = 0; i < 150 && left > 0; i++) {
      await sleep(100);
      left = await entries();
    }
    expect(left).toBe(0);
  }

  test('a reader that is stopped keeps dead entries in the table only until the watchdog steps in', async () => {
    const { child, said } = await startListener();
    child.kill('SIGSTOP');
    await datagrams(MANY);
    await inside('conntrack', '-F');
    expect(await entries()).toBeGreaterThan(MANY / 2);
    await untilNoEntries();
    child.kill('SIGCONT');
    await until(() => said() === 'resumed\nstall\n');
    child.stdin!.end();
    await once(child, 'exit');
  });

  test('a reader that is killed leaves no watchdog behind, and no dead entries', async () => {
    const { child } = await startListener();
    await until(() => children(child.pid!).length === 1);
    const [watchdog] = children(child.pid!);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await datagrams(MANY);
    await inside('conntrack', '-F');
    await until(() => commandOf(watchdog!) === '');
    await untilNoEntries();
  });
});

/** Processes that a process has started. */
function children(pid: number): number[] {
  const threads = readdirSync(`/proc/${pid}/task`);
  const text = threads.map((thread) => textOf(`/proc/${pid}/task/${thread}/children`)).join(' ');
  return text.split(' ').filter(Boolean).map(Number);
}

const commandOf = (pid: number) => textOf(`/proc/${pid}/cmdline`);

/** What a file of proc holds; '' where its process is gone. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
