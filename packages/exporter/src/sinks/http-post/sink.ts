import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Frame } from '../delivery/frame.ts';
import { requestKey } from '../delivery/request-key.ts';
import { HttpClient } from '../http/client.ts';
import type { Environment } from '../http/proxy.ts';
import { receiverIdOf } from '../http/receiver-id.ts';
import { classifyResponse } from '../http/response.ts';
import { ITEM_COUNTERS, ItemEncoder, type ItemFormat } from '../items/item-encoder.ts';
import { jsonLines } from '../items/json-lines.ts';
import { lokiPush } from '../items/loki.ts';
import { PROTOBUF_ITEMS } from '../items/protobuf.ts';
import { schemeEnd } from '../label-sets/settings.ts';
import type { FrozenRequest, SendResult, Sink } from '../sink.ts';
import type { HttpSinkSettings } from './settings.ts';

/** How a body is written, and what it is called. */
function formatOf({ encoding, labels, ...choice }: HttpSinkSettings): { format: ItemFormat; contentType: string } {
  switch (encoding) {
    case 'protobuf':
      return { format: PROTOBUF_ITEMS, contentType: 'application/protobuf' };
    case 'json':
      return { format: jsonLines(choice), contentType: 'application/x-ndjson' };
    case 'loki':
      return { format: lokiPush(labels, choice), contentType: 'application/json' };
  }
}

const compress = promisify(gzip);

/** What an `http` sink is made of. */
interface HttpSinkOptions {
  readonly name: string;
  readonly settings: HttpSinkSettings;
  /** egressd's, for `User-Agent`. */
  readonly version: string;
  readonly environment: Environment;
}

/**
 * Posts items to an endpoint of the user's, deltas by default. A request that may have been stored is repeated with the same bytes and
 * the same `Idempotency-Key`.
 */
export function createHttpSink(options: HttpSinkOptions): Sink {
  const { settings } = options;
  const client = new HttpClient(settings, options.environment);
  const { format, contentType } = formatOf(settings);
  const encoder = new ItemEncoder(format);
  const headers = {
    'content-type': contentType,
    ...(settings.compression === '' ? {} : { 'content-encoding': settings.compression }),
    // The name that receivers know from older releases.
    'user-agent': `castai-egressd/${options.version}`,
  };
  return {
    name: options.name,
    form: 'items',
    defaultMode: 'delta',
    counters: ITEM_COUNTERS,
    maxSeries: settings.maxSeries,
    identityScheme: `items ${settings.encoding} 1${schemeEnd(settings)}`,
    receiverId: receiverIdOf(settings),
    identityOf: (labels) => format.identityOf(labels),
    async encode(frame: Frame, from: number, to: number): Promise<FrozenRequest> {
      const { bytes, end, items } = encoder.encode(frame, from, to);
      const zipped = settings.compression === 'gzip' && items > 0;
      // The encoder reuses its buffer, so a request gets a copy.
      const body = zipped ? await compress(bytes) : Uint8Array.from(bytes);
      return { body, key: requestKey(frame, from, end), end, samples: items };
    },
    async send(request: FrozenRequest, signal: AbortSignal): Promise<SendResult> {
      const own = { ...headers, 'idempotency-key': request.key };
      const response = await client.send(settings.method, own, request.body, signal);
      return classifyResponse(response, client.displayUrl, Date.now());
    },
    close: () => client.close(),
  };
}
