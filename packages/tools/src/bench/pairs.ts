import { fromBinary } from '@bufbuild/protobuf';
import { Aggregate } from '@egressd/exporter/aggregate/aggregate';
import type { AggregateImage } from '@egressd/exporter/aggregate/image';
import type { Snapshot } from '@egressd/exporter/aggregate/snapshot';
import { enrich } from '@egressd/exporter/enrich/enrich';
import { OwnerRegistry } from '@egressd/exporter/owners/registry';
import type { ReceivedBatch } from '@egressd/exporter/receiver/received';
import { formatAddress, parseAddress } from '@egressd/flow/address';
import { decodePart } from '@egressd/flow/batch-decode';
import { encodeBatch } from '@egressd/flow/batch-encode';
import { Bug } from '@egressd/flow/bug';
import { emptyColumns, type FlowColumns } from '@egressd/flow/columns';
import { DeliverRequestSchema } from '@egressd/flow/gen/egressd/stream/v1/stream_pb';
import { MESSAGE_BYTES } from '@egressd/flow/service';
import { type Random, seededRandom } from '@egressd/world/traffic/random';
import { nsPerItem } from './numbers.ts';

/** A busy node: pods of its own, pods elsewhere, the internet. */
const PAIRS = 50_000;
const OWN_PODS = 100;
const OTHER_PODS = 5_000;
const PUBLIC = 10_000;
const SPAN = { number: 1, fromMs: 1_700_000_000_000, toMs: 1_700_000_005_000 };

interface PairsResult {
  readonly pairs: number;
  readonly addresses: number;
  readonly bytesPerPair: number;
  /** Nanoseconds a pair. */
  readonly encode: number;
  readonly decode: number;
  readonly enrich: number;
  readonly aggregate: number;
  /** The same rows as JSON objects: written and read again, nanoseconds a pair, and their bytes. */
  readonly json: number;
  readonly jsonBytes: number;
  /** What came of them. */
  readonly snapshot: Snapshot;
  /** Of that snapshot. */
  readonly image: () => AggregateImage;
}

/** Takes the pairs of one batch across the wire, through enrichment and into the totals. */
export function benchPairs(seed: number): PairsResult {
  const flows = makeFlows(seededRandom(seed));
  const messages = encodeBatch(SPAN, flows, MESSAGE_BYTES);
  const batch = receive(messages);
  const owners = makeOwners();
  const aggregate = new Aggregate();
  const enriched = enrich(batch, owners);
  aggregate.add(enriched, SPAN.toMs);
  const text = toJson(flows);
  const aggregateNs = nsPerItem(PAIRS, () => aggregate.add(enriched, SPAN.toMs));
  const snapshot = aggregate.snapshot(SPAN.toMs, new Map());
  return {
    pairs: PAIRS,
    addresses: flows.addresses.length / 16,
    bytesPerPair: messages.reduce((sum, message) => sum + message.length, 0) / PAIRS,
    encode: nsPerItem(PAIRS, () => encodeBatch(SPAN, flows, MESSAGE_BYTES)),
    decode: nsPerItem(PAIRS, () => receive(messages)),
    enrich: nsPerItem(PAIRS, () => enrich(batch, owners)),
    aggregate: aggregateNs,
    json: nsPerItem(PAIRS, () => JSON.parse(toJson(flows))),
    jsonBytes: text.length / PAIRS,
    snapshot,
    image: () => aggregate.image(snapshot),
  };
}

/** The i-th address of 10.NETWORK.0.0/16, or for network 0 of the internet. */
function address(network: number, i: number): Uint8Array {
  const first = network === 0 ? '198.18' : `10.${network}`;
  return parseAddress(`${first}.${i >> 8}.${i & 255}`)!;
}

function makeFlows(random: Random): FlowColumns {
  const flows = emptyColumns(PAIRS, OWN_PODS + OTHER_PODS + PUBLIC);
  const put = (from: number, count: number, network: number) => {
    for (let i = 0; i < count; i++) flows.addresses.set(address(network, i), (from + i) * 16);
  };
  put(0, OWN_PODS, 1);
  put(OWN_PODS, OTHER_PODS, 2);
  put(OWN_PODS + OTHER_PODS, PUBLIC, 0);
  for (let row = 0; row < PAIRS; row++) {
    const outside = random.between(0, 9) < 3;
    flows.source[row] = random.between(0, OWN_PODS - 1);
    flows.destination[row] = outside
      ? random.between(OWN_PODS + OTHER_PODS, OWN_PODS + OTHER_PODS + PUBLIC - 1)
      : random.between(OWN_PODS, OWN_PODS + OTHER_PODS - 1);
    flows.protocol[row] = random.between(0, 9) === 0 ? 17 : 6;
    flows.txPackets[row] = 2 ** random.between(0, 12);
    flows.rxPackets[row] = 2 ** random.between(0, 12);
    flows.txBytes[row] = flows.txPackets[row]! * random.between(52, 1400);
    flows.rxBytes[row] = flows.rxPackets[row]! * random.between(52, 1400);
  }
  return flows;
}

function receive(messages: readonly Uint8Array[]): ReceivedBatch {
  const parts = messages.map((bytes) => {
    const { message } = fromBinary(DeliverRequestSchema, bytes);
    if (message.case !== 'part') throw new Bug('not a part');
    return decodePart(message.value);
  });
  const settings = { excludeNamespaces: ['kube-system'], groupPublicIps: false, sendTrafficDelta: undefined };
  const collector = {
    node: 'own',
    bootId: 'boot',
    epoch: 'bench',
    version: '0',
    settings,
    nodeAddresses: [],
    peer: undefined,
    certificate: { kind: 'any' as const },
  };
  return { collector, span: SPAN, parts };
}

function makeOwners(): OwnerRegistry {
  const owners = new OwnerRegistry(['bench']);
  const pods = (node: string, network: number, count: number) =>
    Array.from({ length: count }, (_, i) => ({
      key: `${node}-${i}`,
      namespace: `space-${i % 20}`,
      name: `pod-${node}-${i}`,
      node: node === 'own' ? node : `${node}-${i % 50}`,
      addresses: [address(network, i)],
      hostNetwork: false,
    }));
  const nodes = ['own', ...Array.from({ length: 50 }, (_, i) => `other-${i}`)];
  const state = {
    nodes: nodes.map((name, i) => ({ name, zone: `zone-${i % 3}`, region: 'region', addresses: [] })),
    pods: [...pods('own', 1, OWN_PODS), ...pods('other', 2, OTHER_PODS)],
    clusterRanges: [],
  };
  owners.source('bench').replace(state, 0);
  return owners;
}

function toJson(flows: FlowColumns): string {
  const text = (i: number) => formatAddress(flows.addresses, i * 16);
  return JSON.stringify(
    Array.from({ length: flows.rows }, (_, i) => ({
      src_ip: text(flows.source[i]!),
      dst_ip: text(flows.destination[i]!),
      proto: flows.protocol[i],
      tx_bytes: flows.txBytes[i],
      tx_packets: flows.txPackets[i],
      rx_bytes: flows.rxBytes[i],
      rx_packets: flows.rxPackets[i],
    })),
  );
}
