import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { FLOW_SERVICE } from '@egressd/flow/service';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { boundUnfinished } from './unfinished-messages.ts';

const KIB = 1024;

describe('messages that have begun', () => {
  const server = createServer();
  const refused: string[] = [];
  let client: ClientHttp2Session;
  let stop: () => void;
  /** What a reader behind the bound has got. */
  let read = 0;

  beforeEach(async () => {
    server.on('stream', (stream) => {
      stream.respond();
      // As gRPC does, which starts to read later.
      stream.resume();
      stream.on('data', (chunk: Buffer) => {
        read += chunk.length;
      });
      stream.on('error', () => {});
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    stop = boundUnfinished({ port, maxBytes: 100 * KIB, onRefused: (reason) => refused.push(reason) });
    client = connect(`http://127.0.0.1:${port}`);
  });

  afterEach(async () => {
    stop();
    client.destroy();
    server.close();
    server.removeAllListeners('stream');
    refused.length = 0;
    read = 0;
  });

  /** A stream with bytes that say how long its message is, and a part of it. */
  function begin(length: number, part: number, flag = 0): ClientHttp2Stream {
    const stream = client.request({ ':method': 'POST', ':path': FLOW_SERVICE.deliver.path });
    stream.on('error', () => {});
    stream.resume();
    const prefix = Buffer.alloc(5);
    prefix[0] = flag;
    prefix.writeUInt32BE(length, 1);
    stream.write(Buffer.concat([prefix, Buffer.alloc(part)]));
    return stream;
  }

  const closed = (stream: ClientHttp2Stream) => new Promise<void>((resolve) => stream.once('close', () => resolve()));
  const arrived = async (bytes: number) => {
    while (read < bytes) await new Promise((resolve) => setTimeout(resolve, 1));
  };

  test('and for which there is no room end, the oldest first', async () => {
    const first = begin(200 * KIB, 40 * KIB);
    await arrived(40 * KIB);
    const second = begin(200 * KIB, 40 * KIB);
    await arrived(80 * KIB);
    begin(200 * KIB, 40 * KIB);
    await closed(first);
    expect(first.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    expect(second.closed).toBe(false);
    expect(refused).toEqual(['no_room']);
  });

  test('and end, or whose stream does, make room', async () => {
    for (let i = 0; i < 20; i++) {
      const stream = begin(60 * KIB, 60 * KIB - (i % 2));
      await arrived((i + 1) * (60 * KIB + 4));
      stream.close();
      await closed(stream);
    }
    expect(refused).toEqual([]);
  });

  test('compressed, or longer than a Hello at first, are refused at once', async () => {
    await closed(begin(10, 10, 1));
    await closed(begin(300 * KIB, 0));
    expect(refused).toEqual(['compressed', 'first_too_long']);
  });
});
