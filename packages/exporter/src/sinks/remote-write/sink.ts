import { compressSync } from 'snappy';
import type { SeriesLabels } from '../../aggregate/snapshot.ts';
import { countersOf } from '../counters.ts';
import type { Frame } from '../delivery/frame.ts';
import { requestKey } from '../delivery/request-key.ts';
import { HttpClient } from '../http/client.ts';
import type { Environment } from '../http/proxy.ts';
import { receiverIdOf } from '../http/receiver-id.ts';
import { classifyResponse } from '../http/response.ts';
import { schemeEnd } from '../label-sets/settings.ts';
import type { FrozenRequest, SendResult, Sink } from '../sink.ts';
import { AcceptedAnswers } from './accepted.ts';
import { WriteRequestEncoder } from './encode.ts';
import { LabelWriter } from './labels.ts';
import type { RemoteWriteSettings } from './settings.ts';

/** Headers of remote write 1.0 (https://prometheus.io/docs/specs/prw/remote_write_spec/). */
const PROTOCOL_HEADERS = {
  'content-type': 'application/x-protobuf',
  'content-encoding': 'snappy',
  'x-prometheus-remote-write-version': '0.1.0',
};

/**
 * Snappy's library has an allocator of its own, which keeps memory for each thread that uses it and returns little of it: in the
 * thread pool, or with output that waits for the garbage collector, the exporter's memory grows for hours (`npm run soak` shows it).
 * Compressing a whole request takes milliseconds in this thread.
 */
const OWN_OUTPUT = { copyOutputData: true };

/** What a `prom_remote_write` sink is made of. */
interface RemoteWriteOptions {
  readonly name: string;
  readonly settings: RemoteWriteSettings;
  /** egressd's, for `User-Agent`. */
  readonly version: string;
  readonly environment: Environment;
}

/** Sends to a Prometheus-compatible database: remote write 1.0, snappy in block format. */
export function createRemoteWriteSink(options: RemoteWriteOptions): Sink {
  const { settings } = options;
  const client = new HttpClient(settings, options.environment);
  const counters = countersOf(settings);
  const labels = new LabelWriter(settings);
  const encoder = new WriteRequestEncoder(labels, counters);
  const accepted = new AcceptedAnswers();
  const headers = { ...PROTOCOL_HEADERS, 'user-agent': `egressd/${options.version}` };
  return {
    name: options.name,
    form: 'samples',
    defaultMode: 'counter',
    counters,
    maxSeries: settings.maxSeries,
    identityScheme: `remote-write 1 ${JSON.stringify([Object.entries(settings.labels).sort(), settings.regionLabels])}${schemeEnd(settings)}`,
    receiverId: receiverIdOf(settings),
    identityOf: (series: SeriesLabels) => labels.identityOf(series),
    async encode(frame: Frame, from: number, to: number): Promise<FrozenRequest> {
      const { bytes, end, series } = encoder.encode(frame, from, to);
      const body = series === 0 ? bytes.subarray(0, 0) : compressSync(bytes, OWN_OUTPUT);
      return { body, key: requestKey(frame, from, end), end, samples: series };
    },
    async send(request: FrozenRequest, signal: AbortSignal): Promise<SendResult> {
      const response = await client.send('POST', { ...headers, 'idempotency-key': request.key }, request.body, signal);
      const result = classifyResponse(response, client.displayUrl, Date.now());
      return 'failure' in response ? result : accepted.judge(response, result);
    },
    close: () => client.close(),
  };
}
