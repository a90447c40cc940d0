import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** Where the set-up unpacks Debian's binaries, and where `otlp-receivers.sh` of the set-up puts what it builds. */
const BINARIES = fileURLToPath(new URL('../../../../.lab/debian/usr/bin/', import.meta.url));
const BUILT = fileURLToPath(new URL('../../../../.lab/receivers/', import.meta.url));
const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 10_000;
/** Another process may take the port between our look and the database's start. */
const START_ATTEMPTS = 3;
const ASK_AGAIN_MS = 50;

/** Databases that take remote write, by the names of their Debian packages. */
export const DATABASES = ['prometheus', 'victoria-metrics'] as const;
/** Newer ones that take OTLP too, where they were built. */
export const OTLP_DATABASES = ['prometheus-3', 'prometheus-3-zeroes', 'victoria-metrics-1.151'] as const;
type DatabaseKind = (typeof DATABASES)[number] | (typeof OTLP_DATABASES)[number];

/** What runs of a kind, and with what beside the usual flags. */
interface Product {
  readonly name: (typeof DATABASES)[number];
  readonly folder: string;
  /** Takes OTLP there; not set: it does not. */
  readonly otlpPath?: string;
  readonly flags?: readonly string[];
}

const PROMETHEUS_3: Product = {
  name: 'prometheus',
  folder: BUILT,
  otlpPath: '/api/v1/otlp/v1/metrics',
  flags: ['--web.enable-otlp-receiver'],
};
const PRODUCTS: Readonly<Record<DatabaseKind, Product>> = {
  prometheus: { name: 'prometheus', folder: BINARIES },
  'victoria-metrics': { name: 'victoria-metrics', folder: BINARIES },
  'prometheus-3': PROMETHEUS_3,
  // It makes a zero of a start time.
  'prometheus-3-zeroes': {
    ...PROMETHEUS_3,
    flags: [...PROMETHEUS_3.flags!, '--enable-feature=created-timestamp-zero-ingestion'],
  },
  'victoria-metrics-1.151': { name: 'victoria-metrics', folder: BUILT, otlpPath: '/opentelemetry/v1/metrics' },
};

/** A series that a query answered with. */
export interface QueryRow {
  readonly labels: Readonly<Record<string, string>>;
  /** Times in Unix milliseconds, and values: several for a range vector. */
  readonly samples: readonly { readonly timeMs: number; readonly value: number }[];
}

/** A database that is running on a free port of loopback, with a folder of its own. */
export interface Database {
  readonly kind: DatabaseKind;
  /** Takes remote write. */
  readonly writeUrl: string;
  /** Takes OTLP metrics; empty: it does not. */
  readonly otlpUrl: string;
  /** Evaluates a PromQL expression at one moment. @throws Error with what the database says */
  query(expression: string, timeMs: number): Promise<QueryRow[]>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

/** Starts a database, empty. @throws Error that says why not */
export async function startDatabase(kind: DatabaseKind): Promise<Database> {
  const { name, folder: binaries, otlpPath, flags = [] } = PRODUCTS[kind];
  const binary = join(binaries, name);
  if (!existsSync(binary))
    throw new Error(
      `${binary} is missing: \`npm test\` fetches Debian's, packages/tools/setup/otlp-receivers.sh builds the others`,
    );
  for (let attempt = 1; ; attempt++) {
    const folder = mkdtempSync(join(tmpdir(), `egressd-${kind}-`));
    const port = await freePort();
    const child = spawn(binary, [...flagsOf(name, folder, port), ...flags], { stdio: ['ignore', 'ignore', 'pipe'] });
    let lastLines = '';
    child.stderr.on('data', (chunk: Buffer) => {
      lastLines = `${lastLines}${chunk.toString('utf8')}`.slice(-2000);
    });
    const stop = async () => {
      await end(child);
      rmSync(folder, { recursive: true, force: true });
    };
    const url = `http://127.0.0.1:${port}`;
    if (await becomesReady(child, `${url}${name === 'prometheus' ? '/-/ready' : '/health'}`))
      return {
        kind,
        writeUrl: `${url}/api/v1/write`,
        otlpUrl: otlpPath === undefined ? '' : `${url}${otlpPath}`,
        query: (expression, at) => query(url, name, expression, at),
        stop,
      };
    await stop();
    if (attempt === START_ATTEMPTS) throw new Error(`${kind} does not start:\n${lastLines}`);
  }
}

function flagsOf(kind: Product['name'], folder: string, port: number): string[] {
  if (kind === 'prometheus') {
    const config = join(folder, 'prometheus.yml');
    writeFileSync(config, '');
    return [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--web.enable-remote-write-receiver',
      '--log.level=warn',
    ];
  }
  return [
    `-storageDataPath=${join(folder, 'data')}`,
    `-httpListenAddr=127.0.0.1:${port}`,
    '-memory.allowedBytes=128MB',
    '-search.latencyOffset=0s',
    '-search.disableCache',
    '-loggerLevel=WARN',
  ];
}

/** A port of loopback that nothing uses now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function becomesReady(child: ChildProcess, url: string): Promise<boolean> {
  const deadline = Date.now() + START_LIMIT_MS;
  while (Date.now() < deadline && child.exitCode === null && child.pid !== undefined) {
    const answer = await fetch(url).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok) return true;
    await pause(ASK_AGAIN_MS);
  }
  return false;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await ended;
  clearTimeout(timer);
}

/** https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries: the part of an answer that is read. */
interface QueryAnswer {
  readonly status: string;
  readonly error?: string;
  readonly data?: {
    readonly result: readonly {
      readonly metric: Readonly<Record<string, string>>;
      readonly value?: readonly [number, string];
      readonly values?: readonly (readonly [number, string])[];
    }[];
  };
}

async function query(url: string, kind: Product['name'], expression: string, timeMs: number): Promise<QueryRow[]> {
  // VictoriaMetrics shows new samples within a second, or after a flush.
  if (kind === 'victoria-metrics') await (await fetch(`${url}/internal/force_flush`)).text();
  const search = new URLSearchParams({ query: expression, time: String(timeMs / 1000) });
  const response = await fetch(`${url}/api/v1/query?${search}`);
  const answer = (await response.json()) as QueryAnswer;
  if (answer.data === undefined) throw new Error(`${kind} refuses ${expression}: ${answer.error ?? response.status}`);
  return answer.data.result.map(({ metric, value, values }) => ({
    labels: metric,
    // VictoriaMetrics shows stale markers too, as NaN.
    samples: (values ?? (value === undefined ? [] : [value]))
      .map(([seconds, text]) => ({ timeMs: Math.round(seconds * 1000), value: Number(text) }))
      .filter((sample) => !Number.isNaN(sample.value)),
  }));
}
