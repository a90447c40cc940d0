import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { constants, type ServerHttp2Stream } from 'node:http2';
import { MAX_CONTROL_BYTES } from '@egressd/flow/request-decode';
import { FLOW_SERVICE } from '@egressd/flow/service';
import { MessageFraming } from './message-framing.ts';
import type { RefusedMessage } from './metrics.ts';

/**
 * Node.js publishes here each stream that comes to an HTTP/2 server, before anything reads it
 * (https://nodejs.org/api/diagnostics_channel.html, "http2"). gRPC keeps its streams to itself, and holds what has come of a message until
 * its end has come; were the channel gone, that would not be bounded, and a test would fail.
 */
const CREATED = 'http2.server.stream.created';

/** What is held of messages that have begun and not ended, over all streams. */
interface UnfinishedOptions {
  /** The local port of their connections. */
  readonly port: number;
  /** Bytes at the most. What is beyond goes at the cost of the message that began first. */
  readonly maxBytes: number;
  readonly onRefused: (reason: RefusedMessage, peer: string) => void;
}

/**
 * Refuses messages before gRPC puts them together: compressed ones, a first one that is longer than a Hello may be, and those for which
 * there is no room. Their streams end with ENHANCE_YOUR_CALM (RFC 9113, 7).
 *
 *   stream 1   | 5 bytes, flag and length | 700 KiB of 1 MiB ...   began first: ends where there is no room
 *   stream 2   | 5 bytes | 12 of 300 ...
 *
 * @returns how to stop
 */
export function boundUnfinished({ port, maxBytes, onRefused }: UnfinishedOptions): () => void {
  /** By stream: bytes of its unfinished message, in the order in which these began. */
  const unfinished = new Map<ServerHttp2Stream, number>();
  let total = 0;
  const settle = (stream: ServerHttp2Stream): void => {
    total -= unfinished.get(stream) ?? 0;
    unfinished.delete(stream);
  };
  const refuse = (stream: ServerHttp2Stream, reason: RefusedMessage): void => {
    settle(stream);
    onRefused(reason, peerOf(stream));
    stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  };
  const take = (stream: ServerHttp2Stream, framing: MessageFraming, chunk: Uint8Array): void => {
    if (stream.closed) return;
    const before = framing.messages;
    const wrong = framing.push(chunk);
    if (wrong !== undefined) {
      refuse(stream, wrong);
      return;
    }
    // A message that has begun since is behind the others.
    if (framing.messages > before) settle(stream);
    total += framing.unfinished - (unfinished.get(stream) ?? 0);
    if (framing.unfinished > 0) unfinished.set(stream, framing.unfinished);
    while (total > maxBytes) {
      const [oldest] = unfinished.keys();
      if (oldest === undefined) return;
      refuse(oldest, 'no_room');
    }
  };
  const created = (message: unknown): void => {
    const { stream, headers } = message as { stream: ServerHttp2Stream; headers: Record<string, unknown> };
    if (headers[':path'] !== FLOW_SERVICE.deliver.path || stream.session?.socket.localPort !== port) return;
    const framing = new MessageFraming(MAX_CONTROL_BYTES);
    // Nothing may flow before gRPC listens too; it resumes the stream.
    stream.pause();
    stream.on('data', (chunk: Uint8Array) => take(stream, framing, chunk));
    stream.once('close', () => settle(stream));
  };
  subscribe(CREATED, created);
  return () => {
    unsubscribe(CREATED, created);
  };
}

function peerOf({ session }: ServerHttp2Stream): string {
  const { remoteAddress = 'unknown', remotePort = 0 } = session?.socket ?? {};
  return `${remoteAddress}:${remotePort}`;
}
