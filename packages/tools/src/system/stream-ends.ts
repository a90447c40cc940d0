import { freezeBatch } from '@egressd/collector/state/frozen-batch';
import { Outbox } from '@egressd/collector/stream/outbox';
import { Stream, type StreamOptions } from '@egressd/collector/stream/stream';
import { authorizeNode } from '@egressd/exporter/authorization/authorize-node';
import { OwnerRegistry } from '@egressd/exporter/owners/registry';
import { OpenStreams } from '@egressd/exporter/receiver/open-streams';
import type { ReceivedBatch } from '@egressd/exporter/receiver/received';
import { Receiver, type ReceiverOptions } from '@egressd/exporter/receiver/receiver';
import { BatchOffsets } from '@egressd/exporter/state/batch-offsets';
import { emptyColumns } from '@egressd/flow/columns';
import type { NodeHealth } from '@egressd/flow/node-health';
import { KeptLog } from '@egressd/world/observe';
import { credentials, ServerCredentials } from '@grpc/grpc-js';
import { Registry } from 'prom-client';

const NO_OWNERS = new OwnerRegistry([]);

/** An exporter as far as collectors see it: a receiver that remembers what it was handed. */
export class ExporterEnd implements AsyncDisposable {
  readonly offsets = new BatchOffsets();
  readonly registry = new Registry();
  readonly kept = new KeptLog();
  /** Everything that was applied, in order. */
  readonly batches: ReceivedBatch[] = [];
  /** What was said of nodes' kernels, in order, as `node` and NodeHealth. */
  readonly healths: [node: string, health: NodeHealth][] = [];
  /** The addresses of nodes that came with each Hello, in order. */
  readonly admitted: (readonly Uint8Array[])[] = [];
  readonly streams = new OpenStreams();
  readonly receiver: Receiver;

  constructor(options: Partial<ReceiverOptions> = {}) {
    this.receiver = new Receiver({
      host: '127.0.0.1',
      port: 0,
      credentials: ServerCredentials.createInsecure(),
      certificates: false,
      offsets: this.offsets,
      streams: this.streams,
      notReady: () => undefined,
      admit: (collector, nodeAddresses) => {
        this.admitted.push(nodeAddresses);
        return authorizeNode(NO_OWNERS, { ...collector, nodeAddresses }, Date.now());
      },
      onBatch: (batch) => this.batches.push(batch),
      onHealth: ({ node }, health) => this.healths.push([node, health]),
      wantOriginalDestination: false,
      log: this.kept.log,
      registry: this.registry,
      ...options,
    });
  }

  static async start(options: Partial<ReceiverOptions> = {}): Promise<ExporterEnd> {
    const end = new ExporterEnd(options);
    const { credentials = ServerCredentials.createInsecure(), host = '127.0.0.1', port = 0 } = options;
    await end.receiver.listen({ host, port, credentials });
    return end;
  }

  get port(): number {
    return this.receiver.port;
  }

  /** Numbers of the batches that were applied, in order. */
  get numbers(): number[] {
    return this.batches.map((batch) => batch.span.number);
  }

  /** Sum of a column over everything that was applied. */
  get txBytes(): number {
    let sum = 0;
    for (const { parts } of this.batches) for (const part of parts) for (const bytes of part.txBytes) sum += bytes;
    return sum;
  }

  /** As if every sink had accepted all that was applied. */
  commitAll(): void {
    this.streams.commit(this.offsets.commitUpTo(this.offsets.positions()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.receiver.close({ deadlineMs: 0 });
  }
}

/** Impatient times, so that faults are noticed within a test. */
const QUICK = {
  welcomeMs: 300,
  stallMs: 200,
  reconnectMinMs: 2,
  reconnectMaxMs: 20,
  keepaliveMs: 150,
  keepaliveTimeoutMs: 100,
};

/** A collector as far as the exporter sees it: a stream, and batches of made-up rows. */
export class CollectorEnd implements AsyncDisposable {
  readonly registry = new Registry();
  readonly kept = new KeptLog();
  readonly outbox: Outbox;
  readonly stream: Stream;
  #number = 0;
  #txBytes = 0;

  constructor(port: number, options: Partial<StreamOptions> = {}) {
    this.outbox = options.outbox ?? new Outbox();
    this.stream = new Stream({
      address: `127.0.0.1:${port}`,
      credentials: () => credentials.createInsecure(),
      node: 'node-a',
      bootId: 'boot',
      epoch: { name: 'epoch-1' },
      version: 'test',
      settings: { excludeNamespaces: ['kube-system'], groupPublicIps: true, sendTrafficDelta: undefined },
      nodeAddresses: () => [new Uint8Array(16).fill(7)],
      log: this.kept.log,
      registry: this.registry,
      ...options,
      outbox: this.outbox,
      timing: { ...QUICK, ...options.timing },
    });
    this.stream.start();
  }

  /** Sum of a column over everything that was ever frozen. */
  get txBytes(): number {
    return this.#txBytes;
  }

  /** Freezes so many rows and hands them to the stream. @returns the batch's number */
  send(rows = 3, messageBytes?: number, span: { fromMs: number; toMs: number } = { fromMs: 1000, toMs: 2000 }): number {
    const columns = emptyColumns(rows, 2);
    columns.addresses[31] = 1;
    for (let row = 0; row < rows; row++) {
      columns.destination[row] = 1;
      columns.txBytes[row] = 1 + ((this.#number * 7919 + row * 104_729) % 100_003);
      this.#txBytes += columns.txBytes[row]!;
    }
    const number = ++this.#number;
    this.stream.send(freezeBatch({ number, ...span }, columns, Date.now(), messageBytes));
    return number;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stream.close({ deadlineMs: 0 });
  }
}
