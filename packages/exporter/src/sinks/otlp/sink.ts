import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { SeriesLabels } from '../../aggregate/snapshot.ts';
import { countersOf } from '../counters.ts';
import type { Frame } from '../delivery/frame.ts';
import { requestKey } from '../delivery/request-key.ts';
import { HttpClient } from '../http/client.ts';
import type { Environment } from '../http/proxy.ts';
import { receiverIdOf } from '../http/receiver-id.ts';
import { schemeEnd } from '../label-sets/settings.ts';
import type { FrozenRequest, SendResult, Sink } from '../sink.ts';
import { AttributeWriter } from './attributes.ts';
import { MetricsEncoder } from './encode.ts';
import { classifyMetricsResponse } from './response.ts';
import type { OtlpSettings } from './settings.ts';

const compress = promisify(gzip);
/** Half the time of the default for a third more bytes, which still are fewer than snappy's (`npm run bench`). */
const FAST = { level: 1 };

/** What an `otlp` sink is made of. */
interface OtlpOptions {
  readonly name: string;
  readonly settings: OtlpSettings;
  /** egressd's, for `User-Agent`. */
  readonly version: string;
  readonly environment: Environment;
}

/** Sends to an OpenTelemetry Collector or a database: metrics by OTLP/HTTP, protobuf, gzip (https://opentelemetry.io/docs/specs/otlp/). */
export function createOtlpSink(options: OtlpOptions): Sink {
  const { settings } = options;
  const { attributeNames, regionLabels, resourceAttributes } = settings;
  const client = new HttpClient(settings, options.environment);
  const counters = countersOf(settings);
  const attributes = new AttributeWriter(settings);
  const encoder = new MetricsEncoder(counters, resourceAttributes);
  const headers = {
    'content-type': 'application/x-protobuf',
    'content-encoding': 'gzip',
    'user-agent': `egressd/${options.version}`,
  };
  return {
    name: options.name,
    form: 'samples',
    defaultMode: 'counter',
    startTimes: true,
    counters,
    maxSeries: settings.maxSeries,
    // Some receivers make labels of the resource too.
    identityScheme: `otlp 1 ${JSON.stringify([attributeNames, regionLabels, Object.entries(resourceAttributes).sort()])}${schemeEnd(settings)}`,
    receiverId: receiverIdOf(settings),
    identityOf: (series: SeriesLabels) => attributes.identityOf(series),
    async encode(frame: Frame, from: number, to: number): Promise<FrozenRequest> {
      const { bytes, end, points } = encoder.encode(frame, from, to);
      const body = points === 0 ? bytes : await compress(bytes, FAST);
      return { body, key: requestKey(frame, from, end), end, samples: points };
    },
    async send(request: FrozenRequest, signal: AbortSignal): Promise<SendResult> {
      const response = await client.send('POST', { ...headers, 'idempotency-key': request.key }, request.body, signal);
      return classifyMetricsResponse(response, request.samples, client.displayUrl, Date.now());
    },
    close: () => client.close(),
  };
}
