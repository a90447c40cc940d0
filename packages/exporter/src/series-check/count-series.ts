import type { Series, SeriesLabels } from '../aggregate/snapshot.ts';
import { labelReaders } from '../sinks/label-sets/read-labels.ts';
import {
  chosenLabels,
  LABEL_NAMES,
  LABEL_SETS,
  type LabelName,
  type LabelSetName,
} from '../sinks/label-sets/settings.ts';

/** How many series a label set makes of what was seen. */
export interface SetCount {
  readonly set: LabelSetName;
  readonly series: number;
  /** By label that the set does not have: series where it is added. */
  readonly with: ReadonlyMap<LabelName, number>;
}

/** A sink as it is configured, as far as its series are concerned. */
export interface SinkSeries {
  readonly name: string;
  readonly maxSeries: number;
  readonly identityOf: (labels: SeriesLabels) => string;
}

/** How many series a sink has, and how many more it would have without its limit. */
interface SinkCount {
  readonly name: string;
  readonly series: number;
  readonly maxSeries: number;
}

/** Counts the series of every set, each without a limit. */
export function countSets(series: readonly Series[]): SetCount[] {
  return (Object.keys(LABEL_SETS) as LabelSetName[]).map((set) => {
    const names = chosenLabels({ labelSet: set });
    const ids = idsOf(series, names);
    const others = LABEL_NAMES.filter((name) => !names.includes(name));
    return {
      set,
      series: countOf(ids),
      with: new Map(others.map((name) => [name, countWith(series, names, name, ids)])),
    };
  });
}

/** Counts the series of a sink as it would send them, each of its metrics. */
export function countSink(series: readonly Series[], { name, maxSeries, identityOf }: SinkSeries): SinkCount {
  return { name, maxSeries, series: new Set(series.map(({ labels }) => identityOf(labels))).size };
}

/** By series a number that it shares with those of the same labels. */
function idsOf(series: readonly Series[], names: readonly LabelName[]): Uint32Array {
  const readers = labelReaders(names);
  const known = new Map<string, number>();
  return Uint32Array.from(series, ({ labels }) => {
    const identity = readers.map(({ read }) => read(labels)).join('\0');
    const id = known.get(identity) ?? known.size;
    known.set(identity, id);
    return id;
  });
}

function countOf(ids: Uint32Array): number {
  return new Set(ids).size;
}

function countWith(series: readonly Series[], names: readonly LabelName[], name: LabelName, ids: Uint32Array): number {
  // In the set with the label: a zone may read otherwise where a name stands beside it.
  const readers = labelReaders([...names, name]).filter(({ name: of }) => of === name || of.endsWith('_zone'));
  const seen = new Set<string>();
  for (const [row, { labels }] of series.entries())
    seen.add(`${ids[row]}\0${readers.map(({ read }) => read(labels)).join('\0')}`);
  return seen.size;
}
