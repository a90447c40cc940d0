import type { Health as HealthMessage } from '@egressd/flow/gen/egressd/stream/v1/stream_pb';
import type { Health } from './received.ts';

/** First byte of a DeliverRequest that is a Health: field 3, length-delimited (Protocol Buffers encoding, "Message Structure"). */
const HEALTH_TAG = (3 << 3) | 2;

/** Whether bytes that are no message were to be a Health: nothing hangs on it. */
export function isHealth(bytes: Uint8Array): boolean {
  return bytes[0] === HEALTH_TAG;
}

/** Reads a Health. @returns undefined where it is malformed: a number that cannot be */
export function readHealth(health: HealthMessage): Health | undefined {
  const countersBackwards = Number(health.countersBackwards);
  const entriesWithoutCounters = Number(health.entriesWithoutCounters);
  if (!Number.isSafeInteger(countersBackwards) || !Number.isSafeInteger(entriesWithoutCounters)) return undefined;
  const { accounting, timestamps, events } = health;
  return { accounting, timestamps, events, countersBackwards, entriesWithoutCounters };
}
