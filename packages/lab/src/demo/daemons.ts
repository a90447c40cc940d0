import type { ChildProcess } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { daemonCommand } from '../daemon-command.ts';
import { stopProcess } from '../world/commands.ts';
import { NODES, OPS } from '../world/layout.ts';
import type { World } from '../world/world.ts';
import { inventoryOfWorld } from './inventory.ts';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));
const DATABASE = join(ROOT, '.lab/debian/usr/bin/victoria-metrics');

/** All in namespaces of their own: the usual ports are free. */
const DATABASE_URL = 'http://127.0.0.1:8428';
const EXPORTER_URL = 'http://127.0.0.1:6060';
const COLLECTOR_URL = 'http://127.0.0.1:8008';
const STREAM_PORT = 6062;
/** Both are much shorter than their defaults: somebody is watching. */
const READ_INTERVAL = '1s';
const EXPORT_INTERVAL = '1s';

const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 12_000;
const ASK_AGAIN_MS = 100;
/** What is kept of a daemon's last lines, to be shown if it fails. */
const LAST_WORDS = 4000;

/** A daemon that did not start, or ended by itself. */
export class DaemonFailed extends Error {
  override readonly name = 'DaemonFailed';
}

/** One collector a node, one exporter and a database, at work in the world. */
export interface Daemons {
  /** Reads from the database: path and query -> body. @throws Error where the database refuses */
  query(path: string): Promise<string>;
  /** Rejects when a daemon ends that nobody has told to. */
  readonly failed: Promise<never>;
  /** Ends them in the order in which bytes flow, so that the last ones arrive. */
  stop(): Promise<void>;
}

interface Daemon {
  readonly name: string;
  readonly child: ChildProcess;
  lastWords: string;
}

/**
 * Starts them, and waits until every collector has read its node's table once: what is opened from then on counts in full.
 * @throws DaemonFailed
 */
export async function startDaemons(world: World): Promise<Daemons> {
  const started: Daemon[] = [];
  const { promise: failed, reject } = Promise.withResolvers<never>();
  failed.catch(() => {}); // whoever waits for something races it; nobody may be waiting yet
  let stopping = false;
  const start = (host: string, name: string, command: string, args: readonly string[], env = {}) => {
    const daemon: Daemon = { name, child: world.spawn(host, command, args, { stdio: 'pipe', env }), lastWords: '' };
    for (const stream of [daemon.child.stdout, daemon.child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        daemon.lastWords = `${daemon.lastWords}${chunk.toString('utf8')}`.slice(-LAST_WORDS);
      });
    daemon.child.once('close', (code, signal) => {
      if (!stopping)
        reject(new DaemonFailed(`${name} has ended (${code ?? signal}). Its last lines:\n${daemon.lastWords}`));
    });
    started.push(daemon);
    return daemon;
  };
  const stop = async () => {
    stopping = true;
    const stopAll = (daemons: readonly Daemon[]) =>
      Promise.all(daemons.map(({ child }) => stopProcess(child, STOP_LIMIT_MS)));
    await stopAll(started.filter(({ name }) => name.startsWith('collector')));
    // Exporter, then database: the newer feeds the older.
    for (const daemon of started.filter(({ name }) => !name.startsWith('collector')).reverse()) await stopAll([daemon]);
  };

  const ready = (daemon: Daemon, host: string, url: string, good: (body: string) => boolean) =>
    Promise.race([failed, waitUntilReady(world, daemon, host, url, good)]);
  try {
    const database = start(OPS.name, 'the database', DATABASE, databaseFlags(world));
    await ready(database, OPS.name, `${DATABASE_URL}/health`, () => true);
    const exporter = start(OPS.name, 'the exporter', process.execPath, await exporterCommand(world));
    await ready(exporter, OPS.name, `${EXPORTER_URL}/readyz`, () => true);
    await Promise.all(
      NODES.map(async ({ name }) => {
        const collector = start(name, `collector of ${name}`, process.execPath, collectorCommand(), {
          NODE_NAME: name,
        });
        await ready(collector, name, `${COLLECTOR_URL}/metrics`, hasRead);
      }),
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { query: (path) => queryDatabase(world, path), failed, stop };
}

function databaseFlags(world: World): string[] {
  const store = [
    `-storageDataPath=${join(world.folder, 'database')}`,
    '-retentionPeriod=1d',
    '-memory.allowedBytes=128MB',
  ];
  return [...store, '-httpListenAddr=127.0.0.1:8428', '-search.latencyOffset=1s', '-loggerLevel=WARN'];
}

/** Writes the exporter's files. @returns its arguments */
async function exporterCommand(world: World): Promise<string[]> {
  const config = {
    exportInterval: EXPORT_INTERVAL,
    inventory: 'inventory.yaml',
    sinks: {
      victoria: {
        prom_remote_write: {
          url: `${DATABASE_URL}/api/v1/write`,
          sendReceivedBytesMetric: true,
          sendPacketsMetric: true,
          regionLabels: true,
        },
      },
    },
  };
  const path = join(world.folder, 'config.yaml');
  await writeFile(join(world.folder, 'inventory.yaml'), inventoryOfWorld());
  await writeFile(path, JSON.stringify(config, undefined, 2));
  // Plain text is fine here: the network is made of memory.
  return programArguments('exporter', [`-config-path=${path}`, `-grpc-listen-port=${STREAM_PORT}`, '-insecure']);
}

function collectorCommand(): string[] {
  const stream = [`-exporter-address=${OPS.address.v4}:${STREAM_PORT}`, '-insecure'];
  const rest = [`-read-interval=${READ_INTERVAL}`, '-ebpf-dns-tracer-enabled=false'];
  return programArguments('collector', [...stream, ...rest]);
}

function programArguments(daemon: 'collector' | 'exporter', flags: readonly string[]): string[] {
  return [...daemonCommand(daemon).slice(1), ...flags];
}

/** Whether a collector's metrics say that it has read the whole table. */
function hasRead(metrics: string): boolean {
  return /^egressd_conntrack_reads_total\{[^}]*result="complete"[^}]*\} [1-9]/m.test(metrics);
}

async function waitUntilReady(
  world: World,
  daemon: Daemon,
  host: string,
  url: string,
  good: (body: string) => boolean,
): Promise<void> {
  const deadline = Date.now() + START_LIMIT_MS;
  let last = 'no answer';
  while (Date.now() < deadline) {
    try {
      const { status, body = '' } = await world.agent(host).order({ do: 'http', url });
      if (status === 200 && good(body)) return;
      last = `${status} ${body.slice(0, 500)}`;
    } catch (error) {
      last = String(error);
    }
    await pause(ASK_AGAIN_MS);
  }
  throw new DaemonFailed(`${daemon.name} is not ready after ${START_LIMIT_MS / 1000} s: ${last}\n${daemon.lastWords}`);
}

async function queryDatabase(world: World, path: string): Promise<string> {
  const { status, body = '' } = await world.agent(OPS.name).order({ do: 'http', url: `${DATABASE_URL}${path}` });
  if (status !== 200) throw new Error(`the database answers ${status} to ${path}: ${body.slice(0, 500)}`);
  return body;
}
