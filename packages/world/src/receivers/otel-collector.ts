import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from './database.ts';

/** `otlp-receivers.sh` of the set-up builds it. */
const BINARY = fileURLToPath(new URL('../../../../.lab/receivers/otelcol', import.meta.url));
const START_LIMIT_MS = 20_000;

/** An OpenTelemetry Collector that takes OTLP on a free port of loopback, and hands it on by OTLP. */
export interface OtelCollector {
  readonly url: string;
  stop(): Promise<void>;
}

/** Checks a configuration. @throws Error with what the Collector says */
export function validateOtelConfig(path: string, environment: Readonly<Record<string, string>>): void {
  ensureBuilt();
  execFileSync(BINARY, ['validate', `--config=${path}`], { env: { ...process.env, ...environment }, stdio: 'pipe' });
}

/**
 * Starts it, without queues, as examples/otel-collector has it.
 * @param endpoint where it sends to, without `/v1/metrics`
 * @throws Error with its last lines
 */
export async function startOtelCollector(endpoint: string): Promise<OtelCollector> {
  ensureBuilt();
  const folder = mkdtempSync(join(tmpdir(), 'egressd-otelcol-'));
  const port = await freePort();
  const config = join(folder, 'config.yaml');
  writeFileSync(config, JSON.stringify(configOf(port, endpoint)));
  const child = spawn(BINARY, [`--config=${config}`], { stdio: ['ignore', 'ignore', 'pipe'] });
  let lastLines = '';
  child.stderr.on('data', (chunk: Buffer) => {
    lastLines = `${lastLines}${chunk.toString('utf8')}`.slice(-2000);
  });
  const stop = async () => {
    if (child.exitCode === null && child.pid !== undefined) {
      child.kill();
      await once(child, 'exit');
    }
    rmSync(folder, { recursive: true, force: true });
  };
  if (await listens(child, port)) return { url: `http://127.0.0.1:${port}/v1/metrics`, stop };
  await stop();
  throw new Error(`the Collector does not start:\n${lastLines}`);
}

/** JSON is YAML. */
function configOf(port: number, endpoint: string): object {
  return {
    receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
    exporters: { otlp_http: { endpoint, sending_queue: { enabled: false }, retry_on_failure: { enabled: false } } },
    service: {
      telemetry: { metrics: { level: 'none' } },
      pipelines: { metrics: { receivers: ['otlp'], exporters: ['otlp_http'] } },
    },
  };
}

async function listens(child: ChildProcess, port: number): Promise<boolean> {
  const deadline = Date.now() + START_LIMIT_MS;
  while (Date.now() < deadline && child.exitCode === null && child.pid !== undefined) {
    const socket = createConnection(port, '127.0.0.1');
    const [event] = await Promise.race([
      once(socket, 'connect').then(() => ['connect']),
      once(socket, 'error').then(() => ['error']),
    ]).catch(() => ['error']);
    socket.destroy();
    if (event === 'connect') return true;
    await pause(50);
  }
  return false;
}

function ensureBuilt(): void {
  if (!existsSync(BINARY)) throw new Error(`${BINARY} is missing: packages/tools/setup/otlp-receivers.sh builds it`);
}
