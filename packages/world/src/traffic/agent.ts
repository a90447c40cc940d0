/**
 * An agent: a process in the namespace of a pod, node or other host that makes traffic as ordered. It reads orders on stdin and
 * ends with it, so that it never outlives the process that started it.
 */
import { execFile } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import type { AnswerLine, Done, HttpOrder, ListenOrder, Order, OrderLine, PingOrder } from './orders.ts';
import { knock, listenTcp, sendTcp } from './tcp.ts';
import { listenUdp, sendUdp } from './udp.ts';

const NOTHING: Done = { sent: 0, received: 0 };
/** Root may ping this fast. */
const PING_INTERVAL_S = '0.005';
const HTTP_TIMEOUT_MS = 20_000;

async function listen(order: ListenOrder): Promise<Done> {
  await listenTcp(order.tcp);
  await listenUdp(order.udp);
  return NOTHING;
}

async function ping(order: PingOrder): Promise<Done> {
  const { count, size } = order;
  await promisify(execFile)('ping', ['-n', '-q', '-i', PING_INTERVAL_S, '-c', `${count}`, '-s', `${size}`, order.to]);
  return { sent: count * size, received: count * size };
}

async function http(order: HttpOrder): Promise<Done> {
  const response = await fetch(order.url, { signal: AbortSignal.timeout(HTTP_TIMEOUT_MS) });
  const body = await response.text();
  return { sent: 0, received: body.length, status: response.status, body };
}

function carryOut(order: Order): Promise<Done> {
  switch (order.do) {
    case 'listen':
      return listen(order);
    case 'tcp':
      return sendTcp(order);
    case 'udp':
      return sendUdp(order);
    case 'ping':
      return ping(order);
    case 'refused':
      return knock(order);
    case 'http':
      return http(order);
  }
}

/** fetch() hides the reason in the cause. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

function answer(line: AnswerLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const order = JSON.parse(line) as OrderLine;
    carryOut(order).then(
      (done) => answer({ id: order.id, done }),
      (error) => answer({ id: order.id, error: describe(error) }),
    );
  })
  .on('close', () => process.exit(0));
