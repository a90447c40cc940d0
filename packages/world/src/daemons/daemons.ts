import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Rule } from '../api-server/access.ts';
import { OPS, STREAM_PORT } from '../network/layout.ts';
import type { World } from '../network/world.ts';
import { daemonCommand, NODE } from './daemon-command.ts';
import { type DaemonFailed, DaemonProcess } from './daemon-process.ts';
import { inventoryOfWorld } from './inventory.ts';
import { streamFlags } from './stream-flags.ts';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));
const DATABASE = join(ROOT, '.lab/debian/usr/bin/victoria-metrics');
const API_SERVER = fileURLToPath(new URL('./api-server-process.ts', import.meta.url));

/** All in namespaces of their own: the usual ports are free. */
export const DATABASE_URL = 'http://127.0.0.1:8428';
const EXPORTER_URL = 'http://127.0.0.1:6060';
const COLLECTOR_URL = 'http://127.0.0.1:8008';
/** Both are much shorter than their defaults, so that results come soon. */
const READ_INTERVAL = '1s';
const EXPORT_INTERVAL = '1s';

/** Where the exporter learns which pod has which address. */
export type OwnersFrom = 'inventory' | 'kubernetes';

/** How the daemons of a world run; every option but `owners` has a default. */
export interface DaemonsOptions {
  readonly owners: OwnersFrom;
  /** Of the collectors. */
  readonly readInterval?: string;
  /** Every daemon keeps a state directory of its own in the world's folder, across its restarts; without it none has one. */
  readonly stateDirectories?: boolean;
  /** Beside the usual flags, and instead of one that is the same. */
  readonly collectorFlags?: readonly string[];
  /** A command that starts a node's collector: the collector's own command follows as its arguments. */
  readonly collectorStarter?: (node: string) => readonly string[];
  /** A command that starts the exporter, likewise. */
  readonly exporterStarter?: readonly string[];
  readonly exporterFlags?: readonly string[];
  /** More flags of the database. */
  readonly databaseFlags?: readonly string[];
  /** Of the exporter's sink, beside and instead of the usual ones. */
  readonly sink?: Readonly<Record<string, unknown>>;
  /** Of the exporter's configuration, beside the usual ones. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** More environment of a daemon: the exporter, or the collector of the node of this name. */
  readonly environment?: (daemon: string) => Readonly<Record<string, string>>;
  /** How collectors and exporter run, where not from the checkout; with owners from Kubernetes. */
  readonly install?: (chosen: Chosen) => Promise<Installed>;
}

/** What is chosen for the daemons, wherever they run. */
export interface Chosen {
  /** The exporter's configuration. */
  readonly config: unknown;
  readonly readInterval: string;
}

/** Daemons that run in another way. */
export interface Installed {
  /** The rights that they want of the API server. */
  readonly rules: readonly Rule[];
  /** Where a collector's metrics are, on its node. */
  readonly collectorUrl: string;
  /** What comes before the daemons, once the API server answers. */
  prepare(apiServer: DaemonProcess, kubeconfig: string): Promise<void>;
  exporter(): ChildProcess;
  collector(node: string): ChildProcess;
}

/** Where a daemon of the world keeps its state. @param name `exporter`, or the node of a collector */
export function stateFolder(world: World, name: string): string {
  return join(world.folder, 'state', name);
}

/** One collector a node, one exporter and a database, at work in the world. */
export interface Daemons {
  readonly database: DaemonProcess;
  readonly exporter: DaemonProcess;
  readonly collectors: readonly DaemonProcess[];
  /** A stand-in for Kubernetes' API server; undefined where the exporter has an inventory. */
  readonly apiServer: DaemonProcess | undefined;
  /** When the collectors were started: ms of `performance.now()`. */
  readonly collectorsStartedMs: number;
  /** Reads from the database: path and query -> body. @throws Error where the database refuses */
  query(path: string): Promise<string>;
  /** Rejects when a daemon ends by itself. */
  readonly failed: Promise<never>;
  /** Ends them in the order in which bytes flow, so that the last ones arrive. */
  stop(): Promise<void>;
}

/**
 * Starts them, and waits until every collector has read its node's table once: what is opened from then on counts in full.
 * @throws DaemonFailed
 */
export async function startDaemons(world: World, options: DaemonsOptions): Promise<Daemons> {
  const { promise: failed, reject } = Promise.withResolvers<never>();
  failed.catch(() => {}); // waits race it; there may be none yet
  const daemons = await describeDaemons(world, options, reject);
  const { apiServer, database, exporter, collectors, prepare } = daemons;
  const stop = async () => {
    await Promise.all(collectors.map((collector) => collector.end()));
    for (const daemon of [exporter, apiServer, database]) await daemon?.end();
  };
  let collectorsStartedMs: number;
  try {
    for (const daemon of [database, apiServer]) await daemon?.start();
    await prepare();
    await exporter.start();
    collectorsStartedMs = performance.now();
    await Promise.all(collectors.map((collector) => collector.start()));
  } catch (error) {
    await stop();
    throw error;
  }
  return { ...daemons, collectorsStartedMs, query: (path) => queryDatabase(world, path), failed, stop };
}

interface Described extends Pick<Daemons, 'database' | 'exporter' | 'collectors' | 'apiServer'> {
  /** What comes before exporter and collectors, once the API server answers. */
  prepare(): Promise<void>;
}

/** Writes their files. */
async function describeDaemons(
  world: World,
  options: DaemonsOptions,
  onFailed: (error: DaemonFailed) => void,
): Promise<Described> {
  const { owners, readInterval = READ_INTERVAL, environment = () => ({}) } = options;
  const { collectorFlags = [], collectorStarter = () => [], exporterFlags = [], exporterStarter = [] } = options;
  const answers = (host: string, url: string, good?: (body: string) => boolean) => () =>
    notReadyAt(world, host, url, good);
  const daemon = (
    [name, host]: [string, string],
    [command = '', ...args]: readonly string[],
    notReady: () => Promise<string | undefined>,
    env = {},
    spawn = () => world.spawn(host, command, args, { stdio: 'pipe', env }),
  ) => new DaemonProcess({ name, spawn, notReady, onFailed });
  const settings = exporterConfig(options);
  const installed = await options.install?.({ config: settings, readInterval });
  const rules = installed === undefined ? [] : [JSON.stringify(installed.rules)];
  const kubeconfig = join(world.folder, 'kubernetes/kubeconfig');
  const kubernetes = owners === 'kubernetes' ? [`-kubeconfig=${kubeconfig}`] : [];
  const state = (name: string) => (options.stateDirectories ? [`-state-dir=${stateFolder(world, name)}`] : []);
  const tls = streamFlags(world);
  const config = `-config-path=${await writeExporterFiles(world, settings, owners)}`;
  if (owners === 'kubernetes') await mkdir(join(world.folder, 'kubernetes'), { recursive: true });
  const apiServer =
    owners === 'kubernetes'
      ? daemon(['the API server', OPS.name], [...NODE, API_SERVER, world.kind, kubeconfig, ...rules], async () =>
          existsSync(kubeconfig) ? undefined : `no ${kubeconfig}`,
        )
      : undefined;
  return {
    database: daemon(
      ['the database', OPS.name],
      [...databaseCommand(world), ...(options.databaseFlags ?? [])],
      answers(OPS.name, `${DATABASE_URL}/health`),
    ),
    apiServer,
    prepare: async () => {
      if (apiServer !== undefined) await installed?.prepare(apiServer, kubeconfig);
    },
    exporter: daemon(
      ['the exporter', OPS.name],
      [
        ...[...exporterStarter, ...daemonCommand('exporter')],
        ...[config, ...kubernetes, ...state('exporter')],
        ...[`-grpc-listen-port=${STREAM_PORT}`, ...tls.exporter, ...exporterFlags],
      ],
      answers(OPS.name, `${EXPORTER_URL}/readyz`),
      environment('exporter'),
      installed && (() => installed.exporter()),
    ),
    collectors: world.layout.nodes.map(({ name }) =>
      daemon(
        [`collector of ${name}`, name],
        [
          ...collectorStarter(name),
          ...collectorCommand(world, readInterval),
          ...tls.collector,
          ...state(name),
          ...collectorFlags,
        ],
        answers(name, `${installed?.collectorUrl ?? COLLECTOR_URL}/metrics`, hasRead),
        { ...environment(name), NODE_NAME: name },
        installed && (() => installed.collector(name)),
      ),
    ),
  };
}

function databaseCommand(world: World): string[] {
  const store = [
    `-storageDataPath=${join(world.folder, 'database')}`,
    '-retentionPeriod=1d',
    '-memory.allowedBytes=128MB',
  ];
  return [DATABASE, ...store, '-httpListenAddr=127.0.0.1:8428', '-search.latencyOffset=1s', '-loggerLevel=WARN'];
}

function collectorCommand({ layout }: World, readInterval: string): string[] {
  const stream = [`-exporter-address=${layout.exporterAddress}:${STREAM_PORT}`];
  const rest = [`-read-interval=${readInterval}`, '-ebpf-dns-tracer-enabled=false'];
  if ('node' in layout.ops) rest.push(`-exclude-namespaces=kube-system,${layout.ops.namespace}`);
  return [...daemonCommand('collector'), ...stream, ...rest];
}

function exporterConfig({ owners, sink, settings }: DaemonsOptions) {
  const victoria = {
    url: `${DATABASE_URL}/api/v1/write`,
    sendReceivedBytesMetric: true,
    sendPacketsMetric: true,
    regionLabels: true,
    ...sink,
  };
  return {
    exportInterval: EXPORT_INTERVAL,
    ...(owners === 'inventory' ? { inventory: 'inventory.yaml' } : {}),
    sinks: { victoria: { prom_remote_write: victoria } },
    ...settings,
  };
}

/** Writes the exporter's files. @returns where its configuration is */
async function writeExporterFiles(world: World, config: unknown, owners: OwnersFrom): Promise<string> {
  if (owners === 'inventory') await writeFile(inventoryPath(world), inventoryOfWorld(world.layout));
  const path = join(world.folder, 'config.yaml');
  await writeFile(path, JSON.stringify(config, undefined, 2));
  return path;
}

/** Where the exporter's inventory is: written again, it is read again. */
export function inventoryPath(world: World): string {
  return join(world.folder, 'inventory.yaml');
}

/** What a daemon's metrics say now. @param name `exporter`, or the node of a collector */
export async function readMetrics(world: World, name: string): Promise<string> {
  const [host, url] = name === 'exporter' ? [OPS.name, EXPORTER_URL] : [name, COLLECTOR_URL];
  const { body = '' } = await world.agent(host).order({ do: 'http', url: `${url}/metrics` });
  return body;
}

/** Whether a collector's metrics say that it has read the whole table. */
function hasRead(metrics: string): boolean {
  return /^egressd_collector_conntrack_reads_total\{[^}]*result="complete"[^}]*\} [1-9]/m.test(metrics);
}

/** Why there is no good response; undefined: there is one. */
async function notReadyAt(
  world: World,
  host: string,
  url: string,
  good: (body: string) => boolean = () => true,
): Promise<string | undefined> {
  try {
    const { status, body = '' } = await world.agent(host).order({ do: 'http', url });
    return status === 200 && good(body) ? undefined : `${status} ${body.slice(0, 500)}`;
  } catch (error) {
    return String(error);
  }
}

async function queryDatabase(world: World, path: string): Promise<string> {
  const { status, body = '' } = await world.agent(OPS.name).order({ do: 'http', url: `${DATABASE_URL}${path}` });
  if (status !== 200) throw new Error(`the database answers ${status} to ${path}: ${body.slice(0, 500)}`);
  return body;
}
