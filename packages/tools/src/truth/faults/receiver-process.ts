/**
 * Stands between the exporter and its database, and behaves as faulty receivers do:
 *
 *   exporter ──> 127.0.0.1:8430 ──> 127.0.0.1:8428, the database
 *
 * Remote write is handed on as it is. What comes by OTLP is judged as Prometheus would, and handed on as remote write.
 *
 * A line on stdin is the behaviour from now on; answered with one on stdout: how many requests have met each one so far, as JSON.
 * Ends with stdin.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { crc32 } from 'node:zlib';
import { DATABASE_URL } from '@egressd/world/daemons/daemons';
import { decodeMetrics, PointLedger, partialSuccess, pointsOf, toRemoteWrite } from '@egressd/world/receivers/otlp';
import { decodeWrite, labelsOf } from '@egressd/world/receivers/test-receiver';
import { isWrite2, WriteLedger } from '@egressd/world/receivers/write-ledger';
import { BEHAVIOURS, type Behaviour, OTLP_PATH, PICKY_ABOUT, RECEIVER_PORT } from './receiver.ts';

interface Request {
  readonly incoming: IncomingMessage;
  /** Kept: a request that is over has none any more. */
  readonly socket: Socket;
  readonly body: Buffer;
  readonly response: ServerResponse;
}

/** Breaks a connection. */
function reset(socket: Socket): void {
  if (!socket.destroyed) socket.resetAndDestroy();
}

/** What is answered. */
interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Most samples that a bursting receiver ever takes in one request. */
const MAX_BURST = 7;
const NOT_ELECTED = 'replicas did not match, rejecting sample: replica=a, elected=b';
const PROTOBUF = { 'Content-Type': 'application/x-protobuf' };
const ledger = new PointLedger();
/** Of remote write; undefined: what comes is handed on as it is. */
const writes = process.argv.includes('ledger') ? new WriteLedger() : undefined;
const SECOND = process.argv.includes('second');

/** Stores a request. @returns the response of the database, or of the receiver where it does not reach that */
function store(request: Request): Promise<Answer> {
  if (isOtlp(request)) return storePoints(pointsOf(decodeMetrics(request)));
  return writes === undefined ? handOn(request) : keep(writes, request);
}

function isOtlp({ incoming }: Request): boolean {
  return incoming.url === OTLP_PATH;
}

async function storePoints(points: ReturnType<typeof pointsOf>): Promise<Answer> {
  const refused = ledger.take(points);
  if (refused !== undefined) return { status: refused.status, text: refused.message };
  return write(points);
}

/** Writes samples into the database. */
async function write(samples: Parameters<typeof toRemoteWrite>[0]): Promise<Answer> {
  const headers = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' };
  const body = new Uint8Array(toRemoteWrite(samples));
  const answer = await fetch(`${DATABASE_URL}/api/v1/write`, { method: 'POST', headers, body });
  return { status: answer.ok ? 200 : answer.status, text: await answer.text() };
}

/** Stores the good samples of a request of remote write, as Cortex and Mimir do. */
async function keep(writes: WriteLedger, request: Request, refuses?: Refuses): Promise<Answer> {
  const { headers } = request.incoming;
  // A receiver that knows only 1.0.
  if (isWrite2(headers) && !SECOND) return { status: 204, text: '' };
  const { fresh, stored, refused } = writes.take(writes.read({ headers, body: request.body }), true, refuses);
  // One sample of a series in a request: the zero before a first delta goes alone.
  for (const part of [fresh.filter(({ value }) => value === 0), fresh.filter(({ value }) => value !== 0)]) {
    const answer = part.length === 0 ? undefined : await write(part);
    if (answer !== undefined && answer.status >= 300) return answer;
  }
  const written = isWrite2(headers) ? { 'X-Prometheus-Remote-Write-Samples-Written': `${stored}` } : {};
  return { status: refused === undefined ? 200 : 400, text: refused ?? '', headers: written };
}

type Refuses = (labels: Readonly<Record<string, string>>) => string | undefined;

const refusesOne: Refuses = ({ dst_ip }) => (dst_ip === PICKY_ABOUT ? 'one destination is not liked' : undefined);

/** Half of the series, always the same. */
const refusesHalf: Refuses = (labels) =>
  crc32(JSON.stringify(Object.entries(labels).sort())) % 2 === 1
    ? 'per-user series limit of 20 exceeded, please contact administrator to raise it'
    : undefined;

async function keepPart(request: Request, refuses: Refuses): Promise<void> {
  if (writes === undefined) throw new Error('the row has not asked for a ledger');
  respond(request, await keep(writes, request, refuses));
}

function samplesIn(request: Request): number {
  return writes?.count({ headers: request.incoming.headers, body: request.body }) ?? 0;
}

/** Refuses some points, and stores the others. */
async function storePart({ body, response }: Request): Promise<void> {
  const points = pointsOf(decodeMetrics({ body }));
  const kept = points.filter(({ labels }) => labels.dst_ip !== PICKY_ABOUT);
  const { status, text } = await storePoints(kept);
  const refused = points.length - kept.length;
  if (status !== 200 || refused === 0) response.writeHead(status).end(text);
  else response.writeHead(200, PROTOBUF).end(partialSuccess(refused, 'one destination is not liked'));
}

/** Hands a request on as it is. */
async function handOn({ incoming, body }: Request): Promise<Answer> {
  const kept = ['content-type', 'content-encoding', 'x-prometheus-remote-write-version', 'user-agent'];
  const headers = kept.flatMap((name) => {
    const value = incoming.headers[name];
    return typeof value === 'string' ? [[name, value] as [string, string]] : [];
  });
  const answer = await fetch(`${DATABASE_URL}${incoming.url}`, {
    method: 'POST',
    headers: Object.fromEntries(headers),
    body: new Uint8Array(body),
  });
  return { status: answer.status, text: await answer.text() };
}

async function forward(request: Request): Promise<void> {
  respond(request, await store(request));
}

function respond({ response }: Request, { status, text, headers = {} }: Answer): void {
  response.writeHead(status, { ...headers }).end(text);
}

function refuse({ response }: Request, status: number, headers: Record<string, string> = {}): void {
  response.writeHead(status, headers).end('refused');
}

/** Whether a series that a picky receiver refuses is in it. */
function holdsRefused(request: Request): boolean {
  const series = isOtlp(request)
    ? pointsOf(decodeMetrics(request)).map(({ labels }) => labels)
    : labelsOf(decodeWrite(request));
  return series.some((labels) => labels.dst_ip === PICKY_ABOUT);
}

const BEHAVE: Record<Exclude<Behaviour, 'down'>, (request: Request) => unknown> = {
  well: forward,
  throttling: (request) => refuse(request, 429, { 'Retry-After': '1' }),
  failing: (request) => refuse(request, 500),
  picky: (request) => (holdsRefused(request) ? refuse(request, 400) : forward(request)),
  'partly-picky': (request) => (isOtlp(request) ? storePart(request) : forward(request)),
  keeping: (request) => keepPart(request, refusesOne),
  limited: (request) => keepPart(request, refusesHalf),
  bursting: (request) => (samplesIn(request) > MAX_BURST ? refuse(request, 429) : forward(request)),
  poisoned: (request) => (holdsRefused(request) ? refuse(request, 500) : forward(request)),
  replica: ({ response }) => response.writeHead(202).end(NOT_ELECTED),
  hanging: () => {},
  mute: store,
  'closing-early': ({ socket }) => reset(socket),
  'closing-late': async (request) => {
    const { status, text } = await store(request);
    request.response.writeHead(status, { 'Content-Length': text.length + 100 });
    request.response.write(text || ' ', () => reset(request.socket));
  },
};

let behaviour: Behaviour = 'well';
const met = Object.fromEntries(BEHAVIOURS.map((each) => [each, 0])) as Record<Behaviour, number>;
const sockets = new Set<Socket>();
let server: Server | undefined;

async function take(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const { socket } = incoming;
  const now = behaviour;
  const chunks: Buffer[] = [];
  if (now === 'closing-early') await once(incoming, 'readable');
  else for await (const chunk of incoming) chunks.push(chunk as Buffer);
  met[now]++;
  if (now !== 'down') await BEHAVE[now]({ incoming, socket, body: Buffer.concat(chunks), response });
}

/** Listens, or does not. */
async function apply(): Promise<void> {
  for (const socket of sockets) socket.destroy();
  if (behaviour === 'down') {
    const closing = server;
    server = undefined;
    await new Promise((resolve) => (closing === undefined ? resolve(undefined) : closing.close(resolve)));
  } else if (server === undefined) {
    server = createServer((incoming, response) => {
      // The client sees it by its connection.
      const { socket } = incoming;
      take(incoming, response).catch(() => socket.destroy());
    });
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    });
    const listening = server;
    await new Promise<void>((resolve) => listening.listen(RECEIVER_PORT, '127.0.0.1', resolve));
  }
}

await apply();
process.stdout.write(`${JSON.stringify(met)}\n`);
createInterface({ input: process.stdin })
  .on('line', async (line) => {
    behaviour = line as Behaviour;
    await apply();
    process.stdout.write(`${JSON.stringify(met)}\n`);
  })
  .on('close', () => process.exit(0));
