import type { Counter, SeriesLabels } from '../aggregate/snapshot.ts';
import type { Frame, Mode } from './delivery/frame.ts';

/** Bytes of one request body before compression, unless a single sample or item needs more. */
export const MAX_REQUEST_BYTES = 4 * 1024 * 1024;

/** Frozen bytes: a retry sends the same ones under the same key. */
export interface FrozenRequest {
  readonly body: Uint8Array;
  /** Same for every attempt: `Idempotency-Key`. */
  readonly key: string;
  /** First unit of the frame that is not in the body; always beyond `from`. */
  readonly end: number;
  /** Samples or items in the body; 0: nothing to send. */
  readonly samples: number;
}

/** The outcome of one attempt. Messages are for the log: what, where, what to do; no secrets. */
export type SendResult =
  /** `warning`: what the receiver says beside, for the log. */
  | { readonly outcome: 'ok'; readonly status: string; readonly warning?: string }
  /** It has stored all but so many samples or items, and does not say which: fewer than there are, at least one. */
  | { readonly outcome: 'partial'; readonly status: string; readonly refused: number; readonly message: string }
  /** It may work later: no answer, a 5xx, 408, 425 or 429. */
  | {
      readonly outcome: 'retryable';
      readonly status: string;
      /** It may have been stored, and only the answer was lost. */
      readonly maybeStored: boolean;
      /** Milliseconds that the receiver asked to wait (`Retry-After`). */
      readonly retryAfterMs?: number | undefined;
      readonly message: string;
    }
  /** The receiver has not stored it this time, and would not if it came again. */
  | {
      readonly outcome: 'rejected';
      readonly status: string;
      readonly fault: Fault;
      /** true: the receiver failed, and may have stored it before (a 500 that its protocol forbids to repeat). */
      readonly maybeStored?: boolean;
      readonly message: string;
    };

/** Whose fault a rejection is. */
export type Fault =
  /** Something in the body, such as an out-of-order sample: a part of it may be accepted. */
  | 'content'
  /** The body's size: a part of it may be accepted. */
  | 'size'
  /** How it is written: the sink writes the same part in another way from now on. Nothing was stored. */
  | 'format'
  /** Whatever is sent: credentials, address, a method that is not allowed. */
  | 'request';

/** What a request is made of. */
type Form =
  /** Counters one by one, as time series databases keep them: a zero sample before the first, a stale marker after the last. */
  | 'samples'
  /** Records of a whole series, all its counters together: accepted or refused as one, without zero samples and stale markers. */
  | 'items';

/** A place that snapshots go to. It only encodes and sends: `SinkDelivery` wraps it with backoff, retries, splitting and counting. */
export interface Sink {
  readonly name: string;
  readonly form: Form;
  /** What it sends where no collector sets `send-traffic-delta`. */
  readonly defaultMode: Mode;
  /** Whether it sends since when each value counts: `Frame.startsMs`. */
  readonly startTimes?: boolean;
  /** Totals that it sends, in the order of its frames. */
  readonly counters: readonly Counter[];
  /** Cardinality limit: series at the receiver; those beyond are folded into `~other`. */
  readonly maxSeries: number;
  /** What its identities mean and how they are written: changes with whatever changes them. */
  readonly identityScheme: string;
  /** Where they are stored: changes where another receiver is meant, which has nothing of them. Holds no secret. */
  readonly receiverId: string;
  /**
   * What the receiver sees of a series. Two series with the same identity are one there, so their totals are added.
   * The same labels give the same identity for as long as the sink lives.
   */
  identityOf(labels: SeriesLabels): string;
  /** Encodes units of a frame, from `from` to at most `to`, as far as the sink's limits allow. Items are never cut: whole rows. */
  encode(frame: Frame, from: number, to: number): Promise<FrozenRequest>;
  /** One attempt, which ends by itself within the sink's time limit or when the signal says so. Never throws. */
  send(request: FrozenRequest, signal: AbortSignal): Promise<SendResult>;
  close(): Promise<void>;
}
