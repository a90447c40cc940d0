import type { SeriesLabels } from '../../aggregate/snapshot.ts';
import type { Frame } from '../delivery/frame.ts';
import { labelReaders } from '../label-sets/read-labels.ts';
import { chosenLabels, type LabelChoice, type LabelName, REGION_LABELS } from '../label-sets/settings.ts';
import type { ItemFormat } from './item-encoder.ts';

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
export function jsonLines(choice: LabelChoice = {}): ItemFormat {
  const readers = labelReaders(chosenLabels(choice, REGION_LABELS));
  return {
    identityOf: (labels) => JSON.stringify(knownLabels(readers, labels)).slice(1, -1),

    maxBytes: (identity) => MAX_UTF8_BYTES * identity.length + MAX_OTHER_BYTES,

    write: (into, at, frame, row) => at + into.write(`${jsonLine(frame, row)}\n`, at),
  };
}

/** A row as a JSON object, without the end of the line. */
export function jsonLine({ timeMs, mode, identities, values, width }: Frame, row: number): string {
  const identity = identities[row]!;
  const labels = identity === '' ? '' : `${identity},`;
  const [txBytes, txPackets, rxBytes, rxPackets] = values.subarray(row * width, (row + 1) * width);
  return (
    `{"timestamp":"${new Date(timeMs).toISOString()}","mode":"${mode}",${labels}` +
    `"tx_bytes":${txBytes},"tx_packets":${txPackets},"rx_bytes":${rxBytes},"rx_packets":${rxPackets}}`
  );
}

/** The labels of a series, always in the same order; empty ones are left out. */
function knownLabels(
  readers: ReturnType<typeof labelReaders>,
  labels: SeriesLabels,
): Partial<Record<LabelName, string | boolean>> {
  const known: Partial<Record<LabelName, string | boolean>> = {};
  for (const { name, read } of readers) {
    const value = name === 'cross_zone' ? labels.cross_zone : read(labels);
    if (value !== '') known[name] = value;
  }
  return known;
}
