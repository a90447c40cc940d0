import type { Frame } from '../delivery/frame.ts';
import { requestKey } from '../delivery/request-key.ts';
import type { FrozenRequest, SendResult, Sink } from '../sink.ts';
import { ITEM_COUNTERS, ItemEncoder } from './item-encoder.ts';
import { JSON_LINES } from './json-lines.ts';

/** How long an attempt waits for a disk or a reader that stands still. */
const PATIENCE_MS = 30_000;

/** What a sink of JSON lines on this machine is made of. */
export interface LineSinkOptions {
  readonly name: string;
  readonly maxSeries: number;
  /** Where the lines go. */
  readonly receiver: string;
  /** Writes whole lines. It may take for ever, and never throws. */
  readonly write: (lines: Uint8Array) => Promise<SendResult>;
  /** What is said while a write takes long: what, where, what to do. */
  readonly slow: string;
  readonly close: () => Promise<void>;
  readonly patienceMs?: number;
}

/** A write that has begun. It goes on behind attempts that were given up, and is not begun again. */
interface Writing {
  readonly key: string;
  readonly result: Promise<SendResult>;
}

/** A sink of JSON lines. While a write takes long it alone waits, with one request in memory, and nothing is written twice. */
export function createLineSink(options: LineSinkOptions): Sink {
  const { name, maxSeries, receiver, slow, patienceMs = PATIENCE_MS } = options;
  const encoder = new ItemEncoder(JSON_LINES);
  let writing: Writing | undefined;
  return {
    name,
    form: 'items',
    usualMode: 'delta',
    counters: ITEM_COUNTERS,
    maxSeries,
    scheme: 'items json 1',
    receiver,
    identityOf: (labels) => JSON_LINES.identityOf(labels),
    async encode(frame: Frame, from: number, to: number): Promise<FrozenRequest> {
      const { bytes, end, items } = encoder.encode(frame, from, to);
      return { body: Uint8Array.from(bytes), key: requestKey(frame, from, end), end, samples: items };
    },
    async send({ key, body }: FrozenRequest, signal: AbortSignal): Promise<SendResult> {
      if (writing?.key !== key) writing = { key, result: options.write(body) };
      const result = await within(writing.result, patienceMs, signal);
      // Behind what is slow it is still written once; only a stop leaves open how far it got.
      if (result === undefined)
        return { outcome: 'retryable', status: 'timeout', maybeStored: signal.aborted, message: slow };
      writing = undefined;
      return result;
    },
    async close() {
      // What stands still would hold the exporter up.
      if (writing === undefined) await options.close();
    },
  };
}

/** The result; undefined where it takes longer or the signal comes first. Leaves nothing behind on the signal. */
async function within(work: Promise<SendResult>, ms: number, signal: AbortSignal): Promise<SendResult | undefined> {
  const { promise: over, resolve: end } = Promise.withResolvers<undefined>();
  const give = () => end(undefined);
  const timer = setTimeout(give, ms);
  signal.addEventListener('abort', give, { once: true });
  if (signal.aborted) give();
  try {
    return await Promise.race([work, over]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', give);
  }
}
