/** Orders to an agent, a JSON line each, and its answers, a JSON line each. */

/** Take part in what others send: TCP and UDP on all addresses. */
export interface ListenOrder {
  readonly do: 'listen';
  readonly tcp: number;
  readonly udp: number;
}

/** Open connections, send `up` bytes over each, and read the `down` bytes that the other side sends then. */
export interface TcpOrder {
  readonly do: 'tcp';
  readonly to: string;
  readonly port: number;
  readonly up: number;
  readonly down: number;
  /** One after the other in `parallel` rows. */
  readonly connections: number;
  readonly parallel: number;
  /** Sends `up` in this many pieces with a pause before each: a long connection. */
  readonly pieces?: number;
  readonly pauseMs?: number;
  /** Every connection comes from this port: all have the same tuple. */
  readonly fromPort?: number;
  /** Ends with a reset, so that the kernels drop the connection at once and its port can be used again. */
  readonly reset?: boolean;
  /** Opens no more than so many connections in a second, over all rows. */
  readonly perSecond?: number;
  /** Connections that are not made, or break, are counted instead of ending it all. */
  readonly lenient?: boolean;
}

/** Send datagrams to a host that answers each with one of `answer` bytes. */
export interface UdpOrder {
  readonly do: 'udp';
  readonly to: string;
  readonly port: number;
  readonly datagrams: number;
  readonly size: number;
  readonly answer: number;
  /** All come from this port. */
  readonly fromPort?: number;
}

/** ICMP or ICMPv6 echo. */
export interface PingOrder {
  readonly do: 'ping';
  readonly to: string;
  readonly count: number;
  readonly size: number;
}

/** A connection to a port without a listener. */
export interface RefusedOrder {
  readonly do: 'refused';
  readonly to: string;
  readonly port: number;
}

/** One HTTP GET. */
export interface HttpOrder {
  readonly do: 'http';
  readonly url: string;
}

export type TrafficOrder = TcpOrder | UdpOrder | PingOrder | RefusedOrder;
export type Order = ListenOrder | TrafficOrder | HttpOrder;

/** What was done: payload bytes, not what the kernel counts. For HTTP the status and the body. */
export interface Done {
  readonly sent: number;
  readonly received: number;
  /** Connections that were not made, or broke, of a lenient order. */
  readonly failed?: number;
  readonly status?: number;
  readonly body?: string;
}

export type OrderLine = Order & { readonly id: number };
export type AnswerLine = { readonly id: number } & ({ readonly done: Done } | { readonly error: string });
