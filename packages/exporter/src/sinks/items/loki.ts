import type { LabelChoice } from '../label-sets/settings.ts';
import type { ItemFormat } from './item-encoder.ts';
import { jsonLine, jsonLines } from './json-lines.ts';

/** The most bytes of an entry beside its line: the timestamp, brackets, quotation marks. */
const MAX_OTHER_BYTES = 40;
/** Escaping doubles quotation marks and backslashes at the most: a JSON line has no control characters. */
const MAX_ESCAPED = 2;

/**
 * A push of Loki (https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs): one stream, each item a log line, the same
 * JSON object that `jsonLines` writes.
 *
 *   {"streams":[{"stream":{"service_name":"egressd"},"values":[["1769860800000000000","{...}"],["1769860800000000000","{...}"]]}]}
 *
 * Labels of a stream are what Loki indexes: few, and the same for all. What a line holds is found by `| json`.
 */
export function lokiPush(labels: Readonly<Record<string, string>>, choice: LabelChoice = {}): ItemFormat {
  const lines = jsonLines(choice);
  const stream = JSON.stringify({ service_name: 'egressd', ...labels });
  return {
    identityOf: (of) => lines.identityOf(of),
    maxBytes: (identity) => MAX_ESCAPED * lines.maxBytes(identity) + MAX_OTHER_BYTES,
    // Nanoseconds, as text.
    write: (into, at, frame, row) =>
      at + into.write(`["${frame.timeMs}000000",${JSON.stringify(jsonLine(frame, row))}]`, at),
    around: {
      before: Buffer.from(`{"streams":[{"stream":${stream},"values":[`),
      between: Buffer.from(','),
      after: Buffer.from(']}]}'),
    },
  };
}
