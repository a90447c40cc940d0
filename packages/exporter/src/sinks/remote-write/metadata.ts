import { varintLength, writeVarint } from '@egressd/flow/varint';
import type { Counter } from '../../aggregate/snapshot.ts';
import { METRIC_NAMES } from '../counters.ts';
import type { Mode } from '../delivery/frame.ts';

/** What a receiver shows of a metric. ASCII. */
export const METADATA: Readonly<Record<Counter, { readonly help: string; readonly unit: string }>> = {
  txBytes: { help: 'Bytes that the source sent to the destination.', unit: 'bytes' },
  txPackets: { help: 'Packets that the source sent to the destination.', unit: 'packets' },
  rxBytes: { help: 'Bytes that the source received from the destination.', unit: 'bytes' },
  rxPackets: { help: 'Packets that the source received from the destination.', unit: 'packets' },
};

/** `MetricType`, the same in both versions: 1, a counter; 2, a gauge, which deltas are to a database. */
export function metricTypeOf(mode: Mode): number {
  return mode === 'counter' ? 1 : 2;
}

/** `WriteRequest.metadata` (field 3) of remote write 1.0, one `MetricMetadata` a counter: type (1), name (2), help (4), unit (5). */
export function encodeMetadata(counters: readonly Counter[], mode: Mode): Uint8Array {
  return Buffer.concat(
    counters.map((counter) => {
      const { help, unit } = METADATA[counter];
      const type = Uint8Array.of(0x08, metricTypeOf(mode));
      return field(0x1a, Buffer.concat([type, text(0x12, METRIC_NAMES[counter]), text(0x22, help), text(0x2a, unit)]));
    }),
  );
}

function text(tag: number, value: string): Buffer {
  return field(tag, Buffer.from(value));
}

function field(tag: number, content: Uint8Array): Buffer {
  const head = Buffer.alloc(1 + varintLength(content.length));
  head[0] = tag;
  writeVarint(head, 1, content.length);
  return Buffer.concat([head, content]);
}
