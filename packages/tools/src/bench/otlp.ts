import { gzipSync } from 'node:zlib';
import type { Snapshot } from '@egressd/exporter/aggregate/snapshot';
import { AttributeWriter } from '@egressd/exporter/sinks/otlp/attributes';
import { MetricsEncoder } from '@egressd/exporter/sinks/otlp/encode';
import { type BodyCost, bodyMaker, measureBodies } from './bodies.ts';

const COUNTERS = ['txBytes'] as const;

/** Brings a snapshot into bodies of OTLP, as every export interval does. */
export function benchOtlp(snapshot: Snapshot, attributeNames: 'conventions' | 'labels'): BodyCost {
  const attributes = new AttributeWriter({ attributeNames, regionLabels: false });
  const encoder = new MetricsEncoder(COUNTERS, {});
  const bodies = bodyMaker(snapshot, {
    counters: COUNTERS,
    startTimes: true,
    copies: true,
    identityOf: (series) => attributes.identityOf(series),
    encode: (frame, from, to) => encoder.encode(frame, from, to),
  });
  return measureBodies(snapshot.series.length, bodies, (bytes) => gzipSync(bytes, { level: 1 }));
}
