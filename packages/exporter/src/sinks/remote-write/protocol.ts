import type { HttpResponse } from '../http/client.ts';
import type { SendResult } from '../sink.ts';
import type { RemoteWriteSettings } from './settings.ts';

/** Headers of a request, by the version of remote write that it is written in. */
export const PROTOCOL_HEADERS = {
  // https://prometheus.io/docs/specs/prw/remote_write_spec/
  1: {
    'content-type': 'application/x-protobuf',
    'content-encoding': 'snappy',
    'x-prometheus-remote-write-version': '0.1.0',
  },
  // https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/
  2: {
    'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
    'content-encoding': 'snappy',
    'x-prometheus-remote-write-version': '2.0.0',
  },
} as const;

/** A receiver must say with each answer how many samples it has stored. */
const WRITTEN = 'x-prometheus-remote-write-samples-written';

/** Refusals of a body that was not understood, where they come before any answer that says how much was stored. */
const NOT_UNDERSTOOD = new Set([400, 406, 415, 422, 501]);

/**
 * Which version to write in. A receiver that knows only 1.0 answers 204 to a body of 2.0 and stores nothing (Prometheus 2.42, VictoriaMetrics
 * 1.79 and 1.150), so 2.0 is believed only where an answer says how many samples were written; otherwise 1.0 goes from then on.
 */
export class ProtocolChoice {
  version: 1 | 2;
  #confirmed = false;

  constructor({ protobufMessage }: RemoteWriteSettings) {
    this.version = protobufMessage === 'io.prometheus.write.v2.Request' ? 2 : 1;
  }

  /**
   * Judges the answer to a request of 2.0.
   * @param samples in the request
   * @param result what the answer would mean otherwise
   */
  judge(response: HttpResponse, samples: number, result: SendResult, displayUrl: string): SendResult {
    const { status, headers } = response;
    const written = Number.parseInt(String(headers[WRITTEN]), 10);
    if (Number.isNaN(written)) {
      const refused = status === 415 || (!this.#confirmed && NOT_UNDERSTOOD.has(status));
      return refused || result.outcome === 'ok' ? this.#fallBack(status, displayUrl) : result;
    }
    this.#confirmed = true;
    if (result.outcome !== 'ok' || written >= samples) return result;
    const message = `${displayUrl} answered ${status}, and stored ${written} of ${samples} samples`;
    return { outcome: 'rejected', status: `${status}`, fault: 'content', message };
  }

  #fallBack(status: number, displayUrl: string): SendResult {
    this.version = 1;
    const message =
      `${displayUrl} answered ${status} to remote write 2.0, and not how many samples it has stored: it takes 1.0 from now on. ` +
      'If that is all it can, remove protobufMessage from the sink';
    return { outcome: 'rejected', status: `${status}`, fault: 'format', message };
  }
}
