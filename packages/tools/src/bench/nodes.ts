import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freezeBatch } from '@egressd/collector/state/frozen-batch';
import { Stream } from '@egressd/collector/stream/stream';
import { parseAddress } from '@egressd/flow/address';
import { emptyColumns, type FlowColumns } from '@egressd/flow/columns';
import { MAX_NODE_ADDRESSES } from '@egressd/flow/node-health';
import { daemonCommand } from '@egressd/world/daemons/daemon-command';
import { stopProcess } from '@egressd/world/network/commands';
import { KeptLog } from '@egressd/world/observe';
import { credentials } from '@grpc/grpc-js';
import { Registry } from 'prom-client';
import { listeningPorts, residentOf } from './exporter-process.ts';
import { median } from './numbers.ts';

const NODES = 500;
/** Of the cluster's Services, on an interface of every node that is not known for it. A collector reports `MAX_NODE_ADDRESSES` at the most. */
const SERVICE_ADDRESSES = 2000;
const PODS_PER_NODE = 10;
const BATCH_EVERY_MS = 5000;
/** A Service goes, on all nodes at once, every twenty seconds. */
const ROUNDS_PER_SERVICE = 4;
/** The collectors come within so long, as their backoff spreads them after an exporter's start. */
const COME_WITHIN_MS = 5000;
const RUN_MS = 40_000;
/** When V8 collects is chance, and is worth thirty MiB: by turns, and the median. */
const ROUNDS = 3;
/** Longer than egressd takes to end. */
const END_MS = 12_000;

/** What so many nodes cost the exporter. */
interface Costs {
  /** Resident memory, MiB. */
  readonly now: number;
  readonly peak: number;
  /** The longest that `/healthz` took, asked twenty times a second, ms. */
  readonly slowestMs: number;
  /** Half of them took less, ms. */
  readonly medianMs: number;
}

/** 500 streams, each node with its own address alone, and with the addresses of 2,000 Services that all others report too. */
export async function benchNodes(): Promise<{ nodes: number; addresses: number; none: Costs; services: Costs }> {
  const services = Array.from({ length: SERVICE_ADDRESSES }, (_, i) => parseAddress(`10.96.${i >> 8}.${i & 255}`)!);
  const [none, all]: [Costs[], Costs[]] = [[], []];
  for (let i = 0; i < ROUNDS; i++) {
    none.push(await withNodes([]));
    all.push(await withNodes(services));
  }
  return { nodes: NODES, addresses: SERVICE_ADDRESSES, none: typical(none), services: typical(all) };
}

/** Medians, and the slowest answer of all. */
function typical(rounds: readonly Costs[]): Costs {
  const of = (key: keyof Costs) => median(rounds.map((costs) => costs[key]));
  const slowestMs = Math.max(...rounds.map((costs) => costs.slowestMs));
  return { now: of('now'), peak: of('peak'), medianMs: of('medianMs'), slowestMs };
}

async function withNodes(services: readonly Uint8Array[]): Promise<Costs> {
  const folder = await mkdtemp(join(tmpdir(), 'egressd-bench-'));
  const [command = '', ...words] = daemonCommand('exporter');
  const config = await writeConfig(folder);
  const flags = ['-http-listen-port=0', '-grpc-listen-port=0', '-insecure', `-config-path=${config}`];
  const exporter = spawn(command, [...words, ...flags, '-log-level=info'], { stdio: ['ignore', 'ignore', 'pipe'] });
  try {
    const { http, grpc } = await listeningPorts(exporter);
    const asked = askHealth(http);
    const streams = Array.from({ length: NODES }, (_, n) => startNode(n, grpc, services));
    await pause(RUN_MS);
    const times = await stopAsking(asked);
    const resident = await residentOf(exporter.pid!);
    await Promise.all(streams.map((stop) => stop()));
    return { ...resident, slowestMs: times.at(-1) ?? Number.NaN, medianMs: times[times.length >> 1] ?? Number.NaN };
  } finally {
    await stopProcess(exporter, END_MS);
    await rm(folder, { recursive: true });
  }
}

async function writeConfig(folder: string): Promise<string> {
  const numbers = Array.from({ length: NODES }, (_, n) => n);
  const nodes = numbers.map((n) => ({ name: `node-${n}`, zone: `zone-${n % 3}`, addresses: [nodeAddress(n)] }));
  const pods = numbers.flatMap((n) =>
    Array.from({ length: PODS_PER_NODE }, (_, p) => ({
      name: `pod-${n}-${p}`,
      namespace: 'shop',
      node: `node-${n}`,
      ips: [podAddress(n, p)],
    })),
  );
  await writeFile(join(folder, 'inventory.yaml'), JSON.stringify({ clusterRanges: ['10.0.0.0/8'], nodes, pods }));
  const path = join(folder, 'config.yaml');
  await writeFile(path, JSON.stringify({ exportInterval: '5s', inventory: 'inventory.yaml', sinks: {} }));
  return path;
}

const nodeAddress = (n: number) => `192.168.${n >> 8}.${n & 255}`;
const podAddress = (n: number, p: number) => `10.${n >> 8}.${n & 255}.${p + 1}`;

const HEALTHY = { accounting: true, timestamps: true, events: 1, counterDecreases: 0, entriesWithoutCounters: 0 };

/** A node's stream: a batch of its pods to those of the next node every read, and its addresses where they have changed. */
function startNode(n: number, port: number, services: readonly Uint8Array[]): () => Promise<void> {
  const addresses = (round: number) =>
    [parseAddress(nodeAddress(n))!, ...services.slice(Math.floor(round / ROUNDS_PER_SERVICE))].slice(
      0,
      MAX_NODE_ADDRESSES,
    );
  const stream = new Stream({
    address: `127.0.0.1:${port}`,
    credentials: () => credentials.createInsecure(),
    node: `node-${n}`,
    bootId: 'boot',
    epoch: { name: `epoch-${n}` },
    version: 'bench',
    settings: { excludeNamespaces: [], groupPublicIps: true, sendTrafficDelta: undefined },
    nodeAddresses: () => addresses(0),
    log: new KeptLog().log,
    registry: new Registry(),
  });
  let round = 0;
  const read = () => {
    const number = ++round;
    if (round % ROUNDS_PER_SERVICE === 0) stream.reportHealth({ ...HEALTHY, nodeAddresses: addresses(round) });
    const now = Date.now();
    stream.send(freezeBatch({ number, fromMs: now - BATCH_EVERY_MS, toMs: now }, rows(n), now));
  };
  let timer: NodeJS.Timeout | undefined;
  const starting = setTimeout(
    () => {
      stream.start();
      timer = setInterval(read, BATCH_EVERY_MS);
    },
    (n / NODES) * COME_WITHIN_MS,
  );
  return async () => {
    clearTimeout(starting);
    clearInterval(timer);
    await stream.close({ deadlineMs: 0 });
  };
}

/** Each pod of the node to the same pod of the next one. */
function rows(n: number): FlowColumns {
  const columns = emptyColumns(PODS_PER_NODE, 2 * PODS_PER_NODE);
  for (let p = 0; p < PODS_PER_NODE; p++) {
    columns.addresses.set(parseAddress(podAddress(n, p))!, 32 * p);
    columns.addresses.set(parseAddress(podAddress((n + 1) % NODES, p))!, 32 * p + 16);
    columns.source[p] = 2 * p;
    columns.destination[p] = 2 * p + 1;
    columns.protocol[p] = 6;
    columns.txBytes[p] = 1000;
    columns.rxBytes[p] = 2000;
  }
  return columns;
}

/** Asks `/healthz` from a process of its own, which 500 streams do not hold up, and says how long each answer took. */
const ASK = `
  const times = [];
  process.on('SIGTERM', () => { process.stdout.write(JSON.stringify(times.sort((a, b) => a - b)), () => process.exit()); });
  for (;;) {
    const began = performance.now();
    await (await fetch('http://127.0.0.1:' + process.argv[1] + '/healthz', { headers: { connection: 'close' } })).text();
    times.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }`;

function askHealth(port: number): ChildProcess {
  const words = ['--input-type=module', '-e', ASK, String(port)];
  return spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function stopAsking(child: ChildProcess): Promise<number[]> {
  let text = '';
  child.stdout!.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  const closed = once(child, 'close');
  if (!child.kill('SIGTERM')) throw new Error('what asked /healthz has ended by itself');
  await closed;
  return JSON.parse(text) as number[];
}
