import { connect, type Socket } from 'node:net';

/** Ports of the daemons, as the chart has them. */
export const PORTS = { exporterHttp: 6060, stream: 6062, collectorHttp: 8008 } as const;

/** A TCP connection whose errors do not matter. It is paused: what comes is not read. */
export function openSocket(host: string, port: number): Socket {
  return connect({ host, port })
    .on('error', () => {})
    .pause();
}

/** Every HTTP port of the daemons. */
export function httpPorts({ exporter, nodes }: { readonly exporter: string; readonly nodes: readonly string[] }) {
  return [{ host: exporter, port: PORTS.exporterHttp }, ...nodes.map((host) => ({ host, port: PORTS.collectorHttp }))];
}

/** Keeps so many connections open, until the signal is aborted: one that has ended is opened again. @returns how many it opened */
export async function keepOpen(
  count: number,
  perSecond: number,
  open: () => Socket,
  stop: AbortSignal,
): Promise<number> {
  const sockets = new Set<Socket>();
  let opened = 0;
  const timer = setInterval(() => {
    for (let i = 0; i < perSecond / 50 && sockets.size < count; i++) {
      const socket = open();
      opened++;
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      // The end of a connection is seen only where it is read.
      socket.resume();
    }
  }, 20);
  await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
  clearInterval(timer);
  for (const socket of sockets) socket.destroy();
  return opened;
}
