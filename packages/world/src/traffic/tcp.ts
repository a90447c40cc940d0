import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Done, RefusedOrder, TcpOrder } from './orders.ts';

/**
 * The agents' own protocol over TCP:
 *
 *   client ── up: u32, down: u32 ── `up` bytes ──>  server
 *          <─────────── `down` bytes ────────────
 *   client ── FIN ──>  <── FIN ──
 *
 * The client closes first, so that it cannot use the port again while the kernels remember the connection.
 */
const HEADER_BYTES = 8;
const CHUNK = Buffer.alloc(64 * 1024, 'egressd ');
/** Nothing in the world takes this long. */
const TIMEOUT_MS = 30_000;

/** Sends `bytes` bytes of no meaning, as fast as the other side takes them. */
async function send(socket: Socket, bytes: number): Promise<void> {
  for (let left = bytes; left > 0; left -= CHUNK.length) {
    if (!socket.write(left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK)) await once(socket, 'drain');
  }
}

/** Serves one connection. */
function serve(socket: Socket): void {
  let header = Buffer.alloc(0);
  let left = -1;
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    let payload = chunk.length;
    if (left < 0) {
      header = Buffer.concat([header, chunk]);
      if (header.length < HEADER_BYTES) return;
      left = header.readUInt32BE(0);
      payload = header.length - HEADER_BYTES;
    }
    left -= payload;
    if (left === 0) send(socket, header.readUInt32BE(4)).catch(() => socket.destroy());
  });
}

/** Listens on all IPv4 and IPv6 addresses. */
export async function listenTcp(port: number): Promise<Server> {
  const server = createServer(serve).listen(port, '::');
  await once(server, 'listening');
  return server;
}

/** One connection from its opening to its end. */
async function transfer(order: TcpOrder): Promise<void> {
  const { to, port, fromPort } = order;
  const socket = connect({ host: to, port, noDelay: true, ...(fromPort === undefined ? {} : { localPort: fromPort }) });
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('timed out')));
  await once(socket, 'connect');
  let received = 0;
  const all = Promise.withResolvers<void>();
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
    if (received >= order.down) all.resolve();
  });
  socket.once('error', all.reject);
  socket.once('end', () => all.reject(new Error(`the other side closed after ${received} of ${order.down} bytes`)));
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(order.up, 0);
  header.writeUInt32BE(order.down, 4);
  socket.write(header);
  const pieces = order.pieces ?? 1;
  for (let piece = 0; piece < pieces; piece++) {
    if (order.pauseMs !== undefined) await pause(order.pauseMs);
    await send(socket, Math.floor((order.up * (piece + 1)) / pieces) - Math.floor((order.up * piece) / pieces));
  }
  // Without an answer the other side's FIN shows that it has everything.
  if (order.down > 0) await all.promise;
  socket.removeAllListeners('end');
  if (order.reset) socket.resetAndDestroy();
  else socket.end();
  await once(socket, 'close');
}

/** Opens the order's connections. */
export async function sendTcp(order: TcpOrder): Promise<Done> {
  const { connections, parallel, perSecond = Number.POSITIVE_INFINITY } = order;
  const started = performance.now();
  let begun = 0;
  let failed = 0;
  const row = async () => {
    while (begun < connections) {
      const dueMs = (begun++ / perSecond) * 1000 - (performance.now() - started);
      if (dueMs > 0) await pause(dueMs);
      await transfer(order).catch((error) => {
        if (!order.lenient) throw error;
        failed++;
      });
    }
  };
  await Promise.all(Array.from({ length: parallel }, row));
  const made = connections - failed;
  return { sent: made * order.up, received: made * order.down, ...(order.lenient ? { failed } : {}) };
}

/** Connects to an address that no host has. */
export async function knock(order: RefusedOrder): Promise<Done> {
  const socket = connect({ host: order.to, port: order.port });
  const [event] = await Promise.race([once(socket, 'close'), once(socket, 'connect').then(() => ['open'])]).catch(
    (error: NodeJS.ErrnoException) => [error.code],
  );
  socket.destroy();
  if (event !== 'ECONNREFUSED') throw new Error(`${order.to}:${order.port} was not refused: ${String(event)}`);
  return { sent: 0, received: 0 };
}
