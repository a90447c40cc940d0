import type { RestoredTotals } from '../../aggregate/image.ts';
import { otherLabels } from '../../aggregate/snapshot.ts';
import type { SeriesTable, SeriesTableOptions } from './series-table.ts';
import { FREE_SLOT, OTHER_SLOT, type SinkStateImage, unacceptedOf } from './sink-state-image.ts';

/** Fills an empty table from an image of the same identities. */
export function restoreTable(
  table: SeriesTable,
  { identityOf }: SeriesTableOptions,
  image: SinkStateImage,
  { series, totals }: RestoredTotals,
): void {
  const { slots, others, live } = table;
  const identities: (string | undefined)[] = new Array(image.kinds.length);
  for (const [slot, identity] of image.ended) identities[slot] = identity;
  for (const [row, { labels }] of series.entries()) {
    const slot = image.slotOf[row]!;
    const folded = image.kinds[slot] === OTHER_SLOT;
    identities[slot] ??= identityOf(folded ? otherLabels(labels) : labels);
    if (folded) table.folded++;
  }
  slots.restore(image, identities);
  for (const [slot, kind] of image.kinds.entries()) if (kind === OTHER_SLOT) others.add(slot);
  for (const [row, { id }] of series.entries()) {
    const slot = image.slotOf[row]!;
    slots.liveCount[slot] = slots.liveCount[slot]! + 1;
    table.skipTo(live.add(id, slot), totals, row);
  }
}

/** Starts from the totals: what was counted before is not sent. */
export function startTableFrom(table: SeriesTable, { series, totals }: RestoredTotals): void {
  for (const [row, one] of series.entries()) table.skipTo(table.add(one), totals, row);
}

/**
 * Starts an empty table with other series than the image's. What was not accepted of an old one goes with the first live series that
 * counted into it.
 * @returns units of ended series with something unaccepted: there is no live series for it to go with
 */
export function carryOverTable(
  table: SeriesTable,
  { counters }: SeriesTableOptions,
  image: SinkStateImage,
  restored: RestoredTotals,
): number {
  startTableFrom(table, restored);
  const carried = new Uint8Array(image.kinds.length);
  for (const [row, { id }] of restored.series.entries()) {
    const old = image.slotOf[row]!;
    if (carried[old] === 1) continue;
    carried[old] = 1;
    const unit = table.live.slotOf(table.live.find(id)!) * counters.length;
    for (const [index, counter] of counters.entries())
      table.slots.count(unit + index, unacceptedOf(image, old, image.counters.indexOf(counter)));
  }
  let lost = 0;
  for (const [slot, kind] of image.kinds.entries())
    for (let index = 0; index < image.counters.length; index++)
      if (kind !== FREE_SLOT && carried[slot] === 0 && unacceptedOf(image, slot, index) > 0) lost++;
  return lost;
}
