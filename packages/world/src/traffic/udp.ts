import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import type { Done, UdpOrder } from './orders.ts';

/** A datagram begins with the length of the answer that it wants: u16, big-endian. */
const HEADER_BYTES = 2;
/** Datagrams on their way: few enough for the sockets' buffers. */
const WINDOW = 32;
/** An answer that takes longer was lost. */
const LOST_MS = 500;

/** Answers on all IPv4 and IPv6 addresses. */
export async function listenUdp(port: number): Promise<Socket[]> {
  const sockets = [createSocket('udp4'), createSocket({ type: 'udp6', ipv6Only: true })];
  for (const socket of sockets) {
    socket.on('message', (datagram, from) => {
      if (datagram.length < HEADER_BYTES) return;
      socket.send(Buffer.alloc(datagram.readUInt16BE(0)), from.port, from.address);
    });
    socket.bind(port);
    await once(socket, 'listening');
  }
  return sockets;
}

/** Sends the order's datagrams and reads the answers. */
export async function sendUdp(order: UdpOrder): Promise<Done> {
  const socket = createSocket(isIPv6(order.to) ? 'udp6' : 'udp4');
  const datagram = Buffer.alloc(Math.max(order.size, HEADER_BYTES));
  datagram.writeUInt16BE(order.answer, 0);
  if (order.fromPort !== undefined) socket.bind(order.fromPort);
  socket.connect(order.port, order.to);
  await once(socket, 'connect');
  const { promise: finished, resolve, reject } = Promise.withResolvers<void>();
  let sent = 0;
  let answered = 0;
  let received = 0;
  const more = () => {
    for (; sent < order.datagrams && sent - answered < WINDOW; sent++) socket.send(datagram);
    if (answered >= order.datagrams) resolve();
  };
  // What was lost is not sent again: the kernel has counted it where it was seen.
  const lost = setInterval(() => {
    answered = sent;
    more();
  }, LOST_MS);
  socket.on('error', reject);
  socket.on('message', (answer) => {
    received += answer.length;
    answered++;
    lost.refresh();
    more();
  });
  more();
  await finished.finally(() => {
    clearInterval(lost);
    socket.close();
  });
  return { sent: sent * datagram.length, received };
}
