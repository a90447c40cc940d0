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
import { RequestEncoder } from './encode-v2.ts';
import { LabelWriter } from './labels.ts';
import { encodeMetadata } from './metadata.ts';
import { PROTOCOL_HEADERS, ProtocolChoice } from './protocol.ts';
import type { RemoteWriteSettings } from './settings.ts';

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

/** Sends to a Prometheus-compatible database: remote write, snappy in block format. */
export function createRemoteWriteSink(options: RemoteWriteOptions): Sink {
  const { settings } = options;
  const client = new HttpClient(settings, options.environment);
  const counters = countersOf(settings);
  const labels = new LabelWriter(settings);
  const encoders = { 1: new WriteRequestEncoder(labels, counters), 2: new RequestEncoder(labels, counters) } as const;
  const protocol = new ProtocolChoice(settings);
  const accepted = new AcceptedAnswers();
  /** Requests of 2.0. */
  const second = new WeakSet<FrozenRequest>();
  /** Until a receiver refuses a request because of it. */
  let metadata = true;

  function encode(frame: Frame, from: number, to: number): FrozenRequest {
    const { version } = protocol;
    const more = version === 1 && metadata && from === 0 ? encodeMetadata(counters, frame.mode) : undefined;
    const { bytes, end, series } = encoders[version].encode(frame, from, to, more);
    const body = series === 0 ? bytes.subarray(0, 0) : compressSync(bytes, OWN_OUTPUT);
    // The same part in another version is another request.
    const of = version === 1 ? frame : { ...frame, origin: `${frame.origin} 2` };
    const request = { body, key: requestKey(of, from, end), end, samples: series };
    if (version === 2) second.add(request);
    return request;
  }

  async function send(request: FrozenRequest, signal: AbortSignal): Promise<SendResult> {
    const own = PROTOCOL_HEADERS[second.has(request) ? 2 : 1];
    const headers = { ...own, 'user-agent': `egressd/${options.version}`, 'idempotency-key': request.key };
    const response = await client.send('POST', headers, request.body, signal);
    const result = classifyResponse(response, client.displayUrl, Date.now());
    if ('failure' in response) return result;
    if (result.outcome === 'rejected' && /metadata/i.test(response.text)) metadata = false;
    const judged = second.has(request) ? protocol.judge(response, request.samples, result, client.displayUrl) : result;
    return accepted.judge(response, judged);
  }

  return {
    name: options.name,
    form: 'samples',
    defaultMode: 'counter',
    startTimes: protocol.version === 2,
    counters,
    maxSeries: settings.maxSeries,
    identityScheme: `remote-write 1 ${JSON.stringify([Object.entries(settings.labels).sort(), settings.regionLabels])}${schemeEnd(settings)}`,
    receiverId: receiverIdOf(settings),
    identityOf: (series: SeriesLabels) => labels.identityOf(series),
    encode: async (frame, from, to) => encode(frame, from, to),
    send,
    close: () => client.close(),
  };
}
