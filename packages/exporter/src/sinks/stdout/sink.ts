import type { Writable } from 'node:stream';
import { createLineSink } from '../items/line-sink.ts';
import type { SendResult, Sink } from '../sink.ts';
import type { StdoutSinkSettings } from './settings.ts';

/** What a `stdout` sink is made of. */
export interface StdoutSinkOptions {
  readonly name: string;
  readonly settings: StdoutSinkSettings;
  /** The process's own, except in tests. */
  readonly stream: Writable;
  readonly patienceMs?: number;
}

/**
 * Writes JSON lines to standard output; the exporter's own log goes to standard error. Accepted means handed to the kernel. Node writes
 * to a pipe without blocking, so a reader that is slow makes this sink wait and no other.
 */
export function createStdoutSink({ name, settings, stream, ...options }: StdoutSinkOptions): Sink {
  // Without a listener a reader that goes away would end the exporter.
  stream.on('error', () => {});
  return createLineSink({
    ...options,
    name,
    maxSeries: settings.maxSeries,
    receiver: 'stdout',
    write: (lines) => write(stream, lines),
    slow: 'standard output: whoever reads it is slow or stands still; nothing is lost while it waits',
    close: async () => {},
  });
}

function write(stream: Writable, lines: Uint8Array): Promise<SendResult> {
  return new Promise((resolve) => {
    stream.write(lines, (error) => {
      if (error === null || error === undefined) return resolve({ outcome: 'ok', status: 'written' });
      const { code = 'error' } = error as NodeJS.ErrnoException;
      const message =
        `standard output cannot be written (${code}): nobody reads it any more; ` +
        'start the exporter again with a reader, or take the sink out';
      resolve({ outcome: 'retryable', status: code, maybeStored: code === 'EPIPE', message });
    });
  });
}
