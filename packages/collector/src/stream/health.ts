import { create, toBinary } from '@bufbuild/protobuf';
import { DeliverRequestSchema } from '@egressd/flow/gen/egressd/stream/v1/stream_pb';

/** What the last read says of the kernel that counts. undefined: the kernel does not say. */
export interface Health {
  /** `nf_conntrack_acct`. */
  readonly accounting: boolean | undefined;
  /** `nf_conntrack_timestamp`. */
  readonly timestamps: boolean | undefined;
  /** `nf_conntrack_events`: 0, 1 or 2. */
  readonly events: number | undefined;
  /** Connections whose counters fell, since this collector started. */
  readonly countersBackwards: number;
  /** Entries of the last read without counters. */
  readonly entriesWithoutCounters: number;
}

/** The message that tells of it. */
export function encodeHealth(health: Health): Uint8Array {
  const { accounting, timestamps, events, countersBackwards, entriesWithoutCounters } = health;
  const value = {
    ...(accounting === undefined ? {} : { accounting }),
    ...(timestamps === undefined ? {} : { timestamps }),
    ...(events === undefined ? {} : { events }),
    countersBackwards: BigInt(countersBackwards),
    entriesWithoutCounters: BigInt(entriesWithoutCounters),
  };
  return toBinary(DeliverRequestSchema, create(DeliverRequestSchema, { message: { case: 'health', value } }));
}
