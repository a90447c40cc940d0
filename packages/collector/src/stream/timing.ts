/** Times of a stream, milliseconds. */
export interface StreamTiming {
  /** From the attempt to the Welcome. */
  readonly welcomeMs: number;
  /** How long a batch that was sent may go without any progress before the stream is ended. */
  readonly stallMs: number;
  /** Backoff between two attempts: the longest after the first failure, and the longest of all. */
  readonly reconnectMinMs: number;
  readonly reconnectMaxMs: number;
  /** A stream that lasted so long resets the backoff. */
  readonly steadyMs: number;
  /** gRPC keepalive: between two pings, and how long to wait for the answer. */
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
}

export const STREAM_TIMING: StreamTiming = {
  welcomeMs: 20_000,
  stallMs: 60_000,
  reconnectMinMs: 500,
  reconnectMaxMs: 30_000,
  steadyMs: 10_000,
  keepaliveMs: 20_000,
  keepaliveTimeoutMs: 10_000,
};
