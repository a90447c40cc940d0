import { FLOW_SERVICE } from '@egressd/flow/service';
import { Client, credentials, Metadata } from '@grpc/grpc-js';

/** `CompressionAlgorithms.gzip` of grpc-js. */
const GZIP = 2;

/** One stream of a collector that was taken over, in plain text. */
export interface HostileStream {
  /** The exporter has answered (with a Welcome, for example), or the stream has ended. */
  readonly answered: Promise<unknown>;
  /** It has ended. */
  readonly ended: Promise<unknown>;
  close(): void;
}

/** Opens one on a connection of its own and sends messages, whatever comes back. @param address `host:port` */
export function openStream(address: string, messages: readonly Uint8Array[], { gzip = false } = {}): HostileStream {
  const client = new Client(address, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
    ...(gzip ? { 'grpc.default_compression_algorithm': GZIP } : {}),
  });
  const { path, requestSerialize, responseDeserialize } = FLOW_SERVICE.deliver;
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new Metadata());
  const ended = new Promise((resolve) => call.once('status', resolve));
  const answered = Promise.race([ended, new Promise((resolve) => call.once('data', resolve))]);
  call.on('error', () => {}).resume();
  for (const message of messages) call.write(message);
  return {
    answered,
    ended,
    close() {
      call.cancel();
      client.close();
    },
  };
}

/**
 * Opens one stream after the other, so many beside each other, until the signal is aborted or the count is reached.
 * @param open the next one, by its number from zero
 * @param until when the next may take its place
 * @returns how many it opened
 */
export async function streamAfterStream(
  open: (number: number) => HostileStream,
  {
    count,
    parallel,
    until,
  }: { readonly count: number; readonly parallel: number; readonly until: 'answered' | 'ended' },
  stop: AbortSignal,
): Promise<number> {
  let opened = 0;
  const stopped = new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
  const one = async () => {
    while (!stop.aborted && opened < count) {
      const stream = open(opened++);
      await Promise.race([stream[until], stopped]);
      stream.close();
    }
  };
  await Promise.all(Array.from({ length: parallel }, one));
  await stopped;
  return opened;
}
