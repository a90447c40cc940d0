import type { Writable } from 'node:stream';
import { createLineSink } from '../items/line-sink.ts';
import type { SendResult, Sink } from '../sink.ts';
import type { StdoutSinkSettings } from './settings.ts';

/** What a `stdout` sink is made of. */
interface StdoutSinkOptions {
  readonly name: string;
  readonly settings: StdoutSinkSettings;
  /** The process's own, except in tests. */
  readonly stream: Writable;
  readonly timeoutMs?: number;
}

/**
 * Writes JSON lines to standard output; the exporter's own log goes to standard error. Accepted means handed to the kernel. Node writes
 * to a pipe without blocking, so a slow reader makes this sink wait and no other.
 */
export function createStdoutSink({ name, settings, stream, ...options }: StdoutSinkOptions): Sink {
  // Without a listener the EPIPE of a reader that ended would end the exporter.
  stream.on('error', () => {});
  return createLineSink({
    ...options,
    name,
    maxSeries: settings.maxSeries,
    labels: settings,
    receiverId: 'stdout',
    write: (lines) => write(stream, lines),
    timeoutMessage: 'standard output: its reader is slow or hangs; nothing is lost while the sink waits',
    close: async () => {},
  });
}

function write(stream: Writable, lines: Uint8Array): Promise<SendResult> {
  return new Promise((resolve) => {
    stream.write(lines, (error) => {
      if (error === null || error === undefined) return resolve({ outcome: 'ok', status: 'written' });
      const { code = 'error' } = error as NodeJS.ErrnoException;
      const message =
        `standard output cannot be written (${code}): its reader has ended; ` +
        'restart the exporter with a reader, or remove the sink';
      resolve({ outcome: 'retryable', status: code, maybeStored: code === 'EPIPE', message });
    });
  });
}
