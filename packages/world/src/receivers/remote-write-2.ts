import type { ServerResponse } from 'node:http';
import { fromBinary } from '@bufbuild/protobuf';
import { type Request, RequestSchema } from '@egressd/flow/gen/prometheus/v2/remote_pb';
import { uncompressSync } from 'snappy';
import type { Answer, Received } from './test-receiver.ts';

/** A sample of remote write 2.0 with all that belongs to it. */
export interface WrittenSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly timeMs: number;
  /** 0: not said. */
  readonly startMs: number;
  readonly type: number;
  readonly help: string;
  readonly unit: string;
}

/**
 * The samples of a request, which is held against the specification field by field
 * (https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/).
 * @throws Error that says what is wrong with it
 */
export function decodeWrite2({ headers, body }: Pick<Received, 'headers' | 'body'>): WrittenSample[] {
  const expected = {
    'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
    'content-encoding': 'snappy',
    'x-prometheus-remote-write-version': '2.0.0',
  };
  for (const [name, value] of Object.entries(expected)) check(headers[name] === value, `${name}: ${headers[name]}`);
  check(headers['user-agent'] !== undefined, 'no User-Agent');
  const bytes = uncompressSync(body) as Buffer;
  const request = fromBinary(RequestSchema, bytes);
  check(request.$unknown === undefined, 'fields that are not known, as those of remote write 1.0');
  check(request.symbols[0] === '', 'the first symbol is not empty');
  check(new Set(request.symbols).size === request.symbols.length, 'a symbol twice');
  return request.timeseries.flatMap((series) => samplesOf(request, series));
}

function samplesOf({ symbols }: Request, series: Request['timeseries'][number]): WrittenSample[] {
  const text = (ref: number) => {
    check(ref < symbols.length, `symbol ${ref} of ${symbols.length}`);
    return symbols[ref]!;
  };
  const { labelsRefs, samples, metadata } = series;
  check(series.$unknown === undefined, 'fields of a series that are not known');
  check(labelsRefs.length > 0 && labelsRefs.length % 2 === 0, `${labelsRefs.length} labels_refs`);
  const labels = Array.from({ length: labelsRefs.length / 2 }, (_, i) => [
    text(labelsRefs[2 * i]!),
    text(labelsRefs[2 * i + 1]!),
  ]) as [string, string][];
  for (const [i, [name, value]] of labels.entries()) {
    check(name !== '' && value !== '', `an empty label: ${name}=${value}`);
    check(i === 0 || Buffer.compare(Buffer.from(labels[i - 1]![0]), Buffer.from(name)) < 0, `${name} is not in order`);
  }
  check(
    labels.some(([name]) => name === '__name__'),
    'no __name__',
  );
  check(samples.length > 0, 'a series without samples');
  check(metadata !== undefined, 'a series without metadata');
  return samples.map(({ value, timestamp, startTimestamp }) => ({
    ...{ labels: Object.fromEntries(labels), value, timeMs: Number(timestamp), startMs: Number(startTimestamp) },
    ...{ type: metadata!.type, help: text(metadata!.helpRef), unit: text(metadata!.unitRef) },
  }));
}

/** The answer of a receiver that has stored so many samples. */
export function written(response: ServerResponse, samples: number, status = 204, text = ''): void {
  const header = (kind: string, count: number) => [`X-Prometheus-Remote-Write-${kind}-Written`, String(count)];
  const headers = [header('Samples', samples), header('Histograms', 0), header('Exemplars', 0)];
  response.writeHead(status, Object.fromEntries(headers)).end(text);
}

/** Stores every request that is as the specification says, and refuses any other. */
export function storing2(stored: WrittenSample[]): Answer {
  return (received, response) => {
    try {
      const samples = decodeWrite2(received);
      stored.push(...samples);
      written(response, samples.length);
    } catch (error) {
      written(response, 0, 400, String(error));
    }
  };
}

function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(`not as remote write 2.0 says: ${what}`);
}
