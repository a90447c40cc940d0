import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { daemonCommand } from '@egressd/world/daemons/daemon-command';
import { sumOf } from '@egressd/world/daemons/metric-text';
import { NONE, type PairTotals } from '@egressd/world/daemons/samples';
import { stopProcess } from '@egressd/world/network/commands';
import { transferKey } from '@egressd/world/reference/transfers';
import { NODE_ADDRESS, NODE_NAME, PODS } from './node.ts';

const FOLDER = '/tmp/worlds';
const METRICS = 'http://127.0.0.1:8008/metrics';
const STREAM = '127.0.0.1:6062';
/** Emulated, a daemon takes long to start. */
const START_LIMIT_MS = 600_000;
const STOP_LIMIT_MS = 30_000;
/** Reads of the table in which nothing comes any more. */
const QUIET_READS = 4;

/** An exporter that keeps what collectors send: one for all cases. */
export interface Exporter {
  /** By pair and protocol, since the last `clear`. */
  readonly totals: Map<string, PairTotals>;
  stop(): Promise<void>;
}

/** A collector at work on the node. */
export interface Collector {
  /** Its metrics. */
  metrics(): Promise<string>;
  /** What it has logged. */
  readonly log: readonly string[];
  /** Waits until nothing more comes. @returns what has come, by pair and protocol */
  settled(): Promise<ReadonlyMap<string, PairTotals>>;
  stop(): Promise<void>;
}

/** A line of the exporter's `stdout` sink: `flow.schema.json` beside it. */
interface FlowLine {
  readonly src_ip: string;
  readonly dst_ip: string;
  readonly proto: string;
  readonly tx_bytes: number;
  readonly tx_packets: number;
  readonly rx_bytes: number;
  readonly rx_packets: number;
}

const PROTOCOLS: Readonly<Record<string, number>> = { TCP: 6, UDP: 17, ICMP: 1 };

/** Starts the exporter. */
export async function startExporter(): Promise<Exporter> {
  await mkdir(FOLDER, { recursive: true });
  const config = `${FOLDER}/config.yaml`;
  const settings = { exportInterval: '1s', inventory: 'inventory.yaml', sinks: { out: { stdout: {} } } };
  await writeFile(`${FOLDER}/inventory.yaml`, JSON.stringify(inventory()));
  await writeFile(config, JSON.stringify(settings));
  const totals = new Map<string, PairTotals>();
  const exporter = start(daemonCommand('exporter'), [`-config-path=${config}`]);
  lines(exporter.stdout!, (line) => add(totals, JSON.parse(line) as FlowLine));
  exporter.stderr!.resume();
  return { totals, stop: () => stopProcess(exporter, STOP_LIMIT_MS).then(() => {}) };
}

/** Starts a collector, and waits until it has read the table once: what is opened from then on counts in full. */
export async function startCollector({ totals }: Exporter): Promise<Collector> {
  const log: string[] = [];
  const flags = [`-exporter-address=${STREAM}`, '-read-interval=1s', '-ebpf-dns-tracer-enabled=false'];
  const collector = start(daemonCommand('collector'), flags);
  for (const stream of [collector.stdout!, collector.stderr!]) lines(stream, (line) => log.push(line));
  const metrics = async () => (await fetch(METRICS)).text();
  const reads = async () =>
    sumOf(await metrics().catch(() => ''), 'egressd_collector_conntrack_reads_total', { result: 'complete' });
  await readsReach(1, reads, log);
  totals.clear();
  return {
    metrics,
    log,
    settled: () => settle(totals, reads, log),
    stop: () => stopProcess(collector, STOP_LIMIT_MS).then(() => {}),
  };
}

function inventory() {
  const pods = Object.entries(PODS).map(([name, address]) => {
    return { name, namespace: 'shop', node: NODE_NAME, ips: [address] };
  });
  return { nodes: [{ name: NODE_NAME, zone: 'zone-1', addresses: [NODE_ADDRESS] }], pods };
}

function start([command = '', ...args]: readonly string[], flags: readonly string[]): ChildProcess {
  const env = { ...process.env, NODE_NAME };
  return spawn(command, [...args, ...flags], { stdio: ['ignore', 'pipe', 'pipe'], env });
}

function lines(input: NodeJS.ReadableStream, take: (line: string) => void): void {
  createInterface({ input }).on('line', take);
}

function add(totals: Map<string, PairTotals>, line: FlowLine): void {
  const protocol = PROTOCOLS[line.proto] ?? Number(line.proto);
  const key = transferKey(line.src_ip, line.dst_ip, protocol);
  const before = totals.get(key) ?? { ...NONE, source: line.src_ip, destination: line.dst_ip, protocol };
  totals.set(key, {
    ...before,
    txBytes: before.txBytes + line.tx_bytes,
    txPackets: before.txPackets + line.tx_packets,
    rxBytes: before.rxBytes + line.rx_bytes,
    rxPackets: before.rxPackets + line.rx_packets,
  });
}

async function readsReach(wanted: number, reads: () => Promise<number>, log: readonly string[]): Promise<void> {
  const deadline = Date.now() + START_LIMIT_MS;
  while ((await reads()) < wanted) {
    if (Date.now() > deadline) throw new Error(`the collector does not read on:\n${log.slice(-20).join('\n')}`);
    await pause(200);
  }
}

async function settle(totals: ReadonlyMap<string, PairTotals>, reads: () => Promise<number>, log: readonly string[]) {
  let before: string | undefined;
  let now = JSON.stringify([...totals]);
  while (before !== now) {
    before = now;
    await readsReach((await reads()) + QUIET_READS, reads, log);
    now = JSON.stringify([...totals]);
  }
  return new Map(totals);
}
