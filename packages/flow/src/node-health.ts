import { create, toBinary } from '@bufbuild/protobuf';
import { ADDRESS_BYTES } from './address.ts';
import { DeliverRequestSchema, type NodeHealth as NodeHealthMessage } from './gen/egressd/stream/v1/stream_pb.ts';

/**
 * What may pass conntrack by on a node, and is not counted then: pods on a bridge that netfilter does not see, Services of IPVS, what a
 * flowtable forwards, and whatever else pods move past it.
 */
export const BLIND_SPOTS = ['bridge', 'ipvs', 'flowtable', 'pods'] as const;
export type BlindSpot = (typeof BLIND_SPOTS)[number];

/** What a collector's last read found of its node's kernel (`NodeHealth` of stream.proto). undefined: the kernel does not say. */
export interface NodeHealth {
  /** `nf_conntrack_acct`. */
  readonly accounting: boolean | undefined;
  /** `nf_conntrack_timestamp`. */
  readonly timestamps: boolean | undefined;
  /** `nf_conntrack_events`: 0 none, 1 all, 2 only of connections opened while a listener was there. */
  readonly events: number | undefined;
  /** Connections whose counters fell since this epoch began. */
  readonly counterDecreases: number;
  /** Entries of the last read without counters: opened before accounting was on. */
  readonly entriesWithoutCounters: number;
  /** What passes conntrack by; undefined: nothing that is known. */
  readonly blindSpots?: readonly BlindSpot[];
  /** The node's own addresses as they are now, 16 bytes each; undefined: not reported. */
  readonly nodeAddresses?: readonly Uint8Array[];
  /** The node's clock as this was sent, Unix milliseconds; undefined: not reported. */
  readonly clockMs?: number;
}

/** Addresses of a node: what a collector sends at the most, and what the exporter takes. A node has a few. */
export const MAX_NODE_ADDRESSES = 128;

/** First byte of a DeliverRequest that is a NodeHealth: field 3, length-delimited (Protocol Buffers encoding, "Message Structure"). */
const NODE_HEALTH_TAG = (3 << 3) | 2;

/** The encoded DeliverRequest that reports it. */
export function encodeNodeHealth(health: NodeHealth): Uint8Array {
  const { accounting, timestamps, events, counterDecreases, entriesWithoutCounters } = health;
  const value = {
    ...(accounting === undefined ? {} : { accounting }),
    ...(timestamps === undefined ? {} : { timestamps }),
    ...(events === undefined ? {} : { events }),
    counterDecreases: BigInt(counterDecreases),
    entriesWithoutCounters: BigInt(entriesWithoutCounters),
    blindSpots: [...(health.blindSpots ?? [])],
    nodeAddresses: [...(health.nodeAddresses ?? [])],
    clockMs: BigInt(health.clockMs ?? 0),
  };
  return toBinary(DeliverRequestSchema, create(DeliverRequestSchema, { message: { case: 'health', value } }));
}

/** Whether bytes that could not be decoded were meant as a NodeHealth: no traffic is lost with it. */
export function isNodeHealth(bytes: Uint8Array): boolean {
  return bytes[0] === NODE_HEALTH_TAG;
}

/** @returns undefined where it is malformed: a number beyond 2^53, an address that has not 16 bytes */
export function readNodeHealth(message: NodeHealthMessage): NodeHealth | undefined {
  const counterDecreases = Number(message.counterDecreases);
  const entriesWithoutCounters = Number(message.entriesWithoutCounters);
  const clockMs = Number(message.clockMs);
  if (![counterDecreases, entriesWithoutCounters, clockMs].every(Number.isSafeInteger)) return undefined;
  const { accounting, timestamps, events } = message;
  if (message.nodeAddresses.some((address) => address.length !== ADDRESS_BYTES)) return undefined;
  const nodeAddresses = message.nodeAddresses.slice(0, MAX_NODE_ADDRESSES);
  // A newer collector may know others.
  const blindSpots = BLIND_SPOTS.filter((word) => message.blindSpots.includes(word));
  return {
    ...{ accounting, timestamps, events, counterDecreases, entriesWithoutCounters },
    ...(blindSpots.length === 0 ? {} : { blindSpots }),
    ...(nodeAddresses.length === 0 ? {} : { nodeAddresses }),
    ...(clockMs === 0 ? {} : { clockMs }),
  };
}
