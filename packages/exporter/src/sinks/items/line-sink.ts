import type { Frame } from '../delivery/frame.ts';
import { requestKey } from '../delivery/request-key.ts';
import { type LabelChoice, schemeEnd } from '../label-sets/settings.ts';
import type { FrozenRequest, SendResult, Sink } from '../sink.ts';
import { ITEM_COUNTERS, ItemEncoder } from './item-encoder.ts';
import { jsonLines } from './json-lines.ts';

/** How long an attempt waits for a disk or a reader that hangs. */
const TIMEOUT_MS = 30_000;

/** What a sink of JSON lines on this machine is made of. */
interface LineSinkOptions {
  readonly name: string;
  readonly maxSeries: number;
  readonly labels?: LabelChoice;
  /** Where the lines go. */
  readonly receiverId: string;
  /** Writes whole lines. It may hang, and never throws. */
  readonly write: (lines: Uint8Array) => Promise<SendResult>;
  /** The message of an attempt that timed out: what, where, what to do. */
  readonly timeoutMessage: string;
  readonly close: () => Promise<void>;
  readonly timeoutMs?: number;
}

/** A write in progress. It continues behind attempts that timed out, and is not started again. */
interface PendingWrite {
  readonly key: string;
  readonly result: Promise<SendResult>;
}

/** A sink of JSON lines. While a write hangs only this sink waits, with one request in memory, and nothing is written twice. */
export function createLineSink(options: LineSinkOptions): Sink {
  const { name, maxSeries, receiverId, timeoutMessage, timeoutMs = TIMEOUT_MS, labels: choice = {} } = options;
  const format = jsonLines(choice);
  const encoder = new ItemEncoder(format);
  let pending: PendingWrite | undefined;
  return {
    name,
    form: 'items',
    defaultMode: 'delta',
    counters: ITEM_COUNTERS,
    maxSeries,
    identityScheme: `items json 1${schemeEnd(choice)}`,
    receiverId,
    identityOf: (labels) => format.identityOf(labels),
    async encode(frame: Frame, from: number, to: number): Promise<FrozenRequest> {
      const { bytes, end, items } = encoder.encode(frame, from, to);
      return { body: Uint8Array.from(bytes), key: requestKey(frame, from, end), end, samples: items };
    },
    async send({ key, body }: FrozenRequest, signal: AbortSignal): Promise<SendResult> {
      if (pending?.key !== key) pending = { key, result: options.write(body) };
      const result = await within(pending.result, timeoutMs, signal);
      // A slow write still writes once; only a shutdown leaves open how far it got.
      if (result === undefined)
        return { outcome: 'retryable', status: 'timeout', maybeStored: signal.aborted, message: timeoutMessage };
      pending = undefined;
      return result;
    },
    async close() {
      // A write that hangs would hold up the shutdown.
      if (pending === undefined) await options.close();
    },
  };
}

/** The result; undefined where it takes longer or the signal comes first. Leaves nothing behind on the signal. */
async function within(work: Promise<SendResult>, ms: number, signal: AbortSignal): Promise<SendResult | undefined> {
  const { promise: over, resolve: end } = Promise.withResolvers<undefined>();
  const expire = () => end(undefined);
  const timer = setTimeout(expire, ms);
  signal.addEventListener('abort', expire, { once: true });
  if (signal.aborted) expire();
  try {
    return await Promise.race([work, over]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', expire);
  }
}
