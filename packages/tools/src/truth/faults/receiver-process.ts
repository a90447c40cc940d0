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
import { DATABASE_URL } from '@egressd/world/daemons/daemons';
import { decodeMetrics, PointLedger, partialSuccess, pointsOf, toRemoteWrite } from '@egressd/world/receivers/otlp';
import { decodeWrite, labelsOf } from '@egressd/world/receivers/test-receiver';
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
}

const PROTOBUF = { 'Content-Type': 'application/x-protobuf' };
const ledger = new PointLedger();

/** Stores a request. @returns the response of the database, or of the receiver where it does not reach that */
function store(request: Request): Promise<Answer> {
  return isOtlp(request) ? storePoints(pointsOf(decodeMetrics(request))) : handOn(request);
}

function isOtlp({ incoming }: Request): boolean {
  return incoming.url === OTLP_PATH;
}

async function storePoints(points: ReturnType<typeof pointsOf>): Promise<Answer> {
  const refused = ledger.take(points);
  if (refused !== undefined) return { status: refused.status, text: refused.message };
  const headers = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' };
  const body = new Uint8Array(toRemoteWrite(points));
  const answer = await fetch(`${DATABASE_URL}/api/v1/write`, { method: 'POST', headers, body });
  return { status: answer.ok ? 200 : answer.status, text: await answer.text() };
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
  const { status, text } = await store(request);
  request.response.writeHead(status).end(text);
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
