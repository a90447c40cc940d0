import { protocolName } from '@egressd/flow/protocol';
import type { SeriesLabels } from '../../aggregate/snapshot.ts';
import type { Frame } from '../delivery/frame.ts';
import type { ItemFormat } from './item-encoder.ts';

/** Labels that are strings, in the order of a line. */
const STRINGS = [
  'src_ip',
  'src_pod',
  'src_namespace',
  'src_node',
  'src_zone',
  'src_region',
  'dst_ip',
  'dst_ip_type',
  'dst_pod',
  'dst_namespace',
  'dst_node',
  'dst_zone',
  'dst_region',
] as const satisfies readonly (keyof SeriesLabels)[];
/** The most bytes of a line beside its labels. */
const MAX_OTHER_BYTES = 320;
/** The most bytes that UTF-8 needs for a UTF-16 unit of a string. */
const MAX_UTF8_BYTES = 3;

/**
 * One JSON object a line, as `flow.schema.json` beside this file says:
 *
 *   {"timestamp":"2026-01-31T12:00:00.000Z","mode":"delta", LABELS ,"tx_bytes":1,"tx_packets":1,"rx_bytes":1,"rx_packets":1}
 *                                                           the identity
 */
export const JSON_LINES: ItemFormat = {
  identityOf: (labels) => JSON.stringify(knownLabels(labels)).slice(1, -1),

  maxBytes: (identity) => MAX_UTF8_BYTES * identity.length + MAX_OTHER_BYTES,

  write: (into, at, frame, row) => at + into.write(`${jsonLine(frame, row)}\n`, at),
};

/** A row as a JSON object, without the end of the line. */
export function jsonLine({ timeMs, mode, identities, values, width }: Frame, row: number): string {
  const [txBytes, txPackets, rxBytes, rxPackets] = values.subarray(row * width, (row + 1) * width);
  return (
    `{"timestamp":"${new Date(timeMs).toISOString()}","mode":"${mode}",${identities[row]},` +
    `"tx_bytes":${txBytes},"tx_packets":${txPackets},"rx_bytes":${rxBytes},"rx_packets":${rxPackets}}`
  );
}

/** The labels of a series, always in the same order; empty ones are left out. */
function knownLabels(labels: SeriesLabels): Record<string, string | boolean> {
  const known = STRINGS.filter((name) => labels[name] !== '').map((name) => [name, labels[name]]);
  const { protocol, cross_zone, scope } = labels;
  return { ...Object.fromEntries(known), proto: protocolName(protocol), cross_zone, scope };
}
