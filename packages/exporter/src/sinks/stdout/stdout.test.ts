import { PassThrough, Writable } from 'node:stream';
import { expect, test } from '@jest/globals';
import type { FrozenRequest } from '../sink.ts';
import { createStdoutSink } from './sink.ts';

const LIVE = new AbortController().signal;
const request = (key: string): FrozenRequest => ({ body: Buffer.from(`${key}\n`), key, end: 4, samples: 1 });

function sinkTo(stream: Writable, timeoutMs = 20) {
  return createStdoutSink({ name: 'out', settings: { maxSeries: 10 }, stream, timeoutMs });
}

/** A reader that reads only when the test says so. */
function slowReader() {
  const written: string[] = [];
  const waiting: (() => void)[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      waiting.push(() => {
        written.push(chunk.toString());
        done();
      });
    },
  });
  return { stream, written, read: () => waiting.shift()?.() };
}

test('lines are written', async () => {
  const stream = new PassThrough();
  expect(await sinkTo(stream).send(request('one'), LIVE)).toEqual({ outcome: 'ok', status: 'written' });
  expect(stream.read().toString()).toBe('one\n');
});

test('while the reader is slow the request waits, and is not written twice', async () => {
  const reader = slowReader();
  const sink = sinkTo(reader.stream);
  for (let attempt = 0; attempt < 3; attempt++)
    expect(await sink.send(request('one'), LIVE)).toMatchObject({
      outcome: 'retryable',
      status: 'timeout',
      maybeStored: false,
    });
  const last = sink.send(request('one'), LIVE);
  reader.read();
  expect(await last).toMatchObject({ outcome: 'ok' });
  const next = sink.send(request('two'), LIVE);
  reader.read();
  expect(await next).toMatchObject({ outcome: 'ok' });
  expect(reader.written).toEqual(['one\n', 'two\n']);
});

test('a stop does not wait for the reader', async () => {
  const sink = sinkTo(slowReader().stream, 60_000);
  const stop = new AbortController();
  const sent = sink.send(request('one'), stop.signal);
  stop.abort();
  expect(await sent).toMatchObject({ outcome: 'retryable', maybeStored: true });
  expect(await sink.send(request('one'), stop.signal)).toMatchObject({ outcome: 'retryable' });
  await sink.close();
});

test('a reader that ends does not end the exporter: retryable', async () => {
  const stream = new Writable({
    write(_chunk, _encoding, done) {
      done(Object.assign(new Error('broken pipe'), { code: 'EPIPE' }));
    },
  });
  const sink = sinkTo(stream);
  for (const status of ['EPIPE', 'ERR_STREAM_DESTROYED'])
    expect(await sink.send(request('one'), LIVE)).toMatchObject({
      outcome: 'retryable',
      status,
    });
});

test('many attempts leave nothing on the signal', async () => {
  const stop = new AbortController();
  let listeners = 0;
  const { signal } = stop;
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--;
    remove(...args);
  };
  const sink = sinkTo(new PassThrough().resume());
  for (let key = 0; key < 10; key++) await sink.send(request(String(key)), signal);
  expect(listeners).toBe(0);
});
