import { readBtf } from '../../native/bpf.ts';
import type { MapReader } from '../map-reader.ts';
import { SourceError } from '../source-error.ts';
import { memberNames } from './btf.ts';
import { type Clock, type ClockSource, clockAt, clockSourceOf, isAlive, type KernelTime } from './clock.ts';
import { type Entries, viewEntries } from './decode.ts';
import {
  classifyEntry,
  KEY_BYTES_V4,
  KEY_BYTES_V6,
  type Layout,
  type LayoutCounts,
  layoutOf,
  MIN_FRAME_V4,
  MIN_FRAME_V6,
  noCounts,
  VALUE_WORDS,
  WORD_LIFETIME,
  WORD_RX_PACKETS,
  WORD_TX_PACKETS,
  wide,
} from './layout.ts';
import type { OpenMaps } from './maps.ts';

/** Lifetimes that are sampled to find out which clock they are of. */
const MAX_LIFETIMES = 4096;

/** What all entries of Cilium's maps show together: their layout, their clock, and whether Cilium is active. */
interface MapInspection {
  readonly entries: number;
  readonly counts: LayoutCounts;
  /** When some of the entries expire. */
  readonly lifetimes: readonly number[];
  /** The latest end of an entry that is not TCP's: those live for a minute without traffic. */
  readonly latestShort: number;
  /** Changes with every packet and every entry. */
  readonly fingerprint: number;
  /** The layout by the names of the values' members (BTF), where the maps have them. */
  readonly described: Layout | undefined;
}

/** Reads every entry once. */
export async function inspectMaps(
  { connections }: OpenMaps,
  readerOf: (family: 4 | 6) => MapReader,
): Promise<MapInspection> {
  const inspection = { entries: 0, counts: noCounts(), lifetimes: [] as number[], latestShort: 0, fingerprint: 0 };
  for (const { map, family, protocols } of connections) {
    for await (const { keys, values, count } of readerOf(family).read(map)) {
      inspection.entries += count;
      inspectEntries(inspection, viewEntries(family, keys, values), count, protocols === 'any');
    }
  }
  const btf = connections.map(({ map }) => map.btf).find(({ valueType }) => valueType !== 0);
  return { ...inspection, described: btf === undefined ? undefined : describedLayout(btf) };
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type Growing = Writable<Pick<MapInspection, 'latestShort' | 'fingerprint' | 'counts'>> & {
  readonly lifetimes: number[];
};

function inspectEntries(inspection: Growing, { family, keys, values }: Entries, count: number, isShort: boolean): void {
  const halves = (family === 4 ? KEY_BYTES_V4 : KEY_BYTES_V6) >> 1;
  const minFrame = family === 4 ? MIN_FRAME_V4 : MIN_FRAME_V6;
  for (let entry = 0; entry < count; entry++) {
    const last = keys[(entry + 1) * halves - 1]!;
    const at = entry * VALUE_WORDS;
    const entryClass = classifyEntry(last >>> 8, last & 0xff, minFrame, values, at);
    if (entryClass !== 'excluded') inspection.counts[entryClass]++;
    const lifetime = values[at + WORD_LIFETIME]!;
    if (inspection.lifetimes.length < MAX_LIFETIMES) inspection.lifetimes.push(lifetime);
    if (isShort) inspection.latestShort = Math.max(inspection.latestShort, lifetime);
    const packets = wide(values, at + WORD_RX_PACKETS) + wide(values, at + WORD_TX_PACKETS);
    inspection.fingerprint = (inspection.fingerprint + lifetime + packets + 1) % Number.MAX_SAFE_INTEGER;
  }
}

/** The layout by the names of a value's members, where the kernel lets us read them (it may want SYS_ADMIN for that). */
function describedLayout({ id, valueType }: { readonly id: number; readonly valueType: number }): Layout | undefined {
  const btf = readBtf(id);
  return btf === undefined ? undefined : layoutOfMembers(memberNames(btf, valueType));
}

/** The layout whose members have these names; undefined where they are of none that is known. */
export function layoutOfMembers(names: readonly string[] | undefined): Layout | undefined {
  if (names === undefined) return undefined;
  if (names.includes('rx_packets') && names.includes('tx_packets')) return 'directed';
  return names.includes('packets') && names.includes('bytes') ? 'summed' : undefined;
}

/**
 * The layout by description and content: what the entries show goes before what the map was described as, since another version of
 * Cilium may have taken it over.
 */
export function inspectedLayout({ counts, described }: MapInspection): Layout {
  const shown = layoutOf(counts);
  if (described === 'summed') return shown === 'zero' ? 'zero' : 'summed';
  return shown === 'undetermined' && described === 'directed' && counts.ambiguous > 0 ? 'directed' : shown;
}

/** The clock of the entries: `ktime` where it was asked for, else what they show, else what Cilium uses by default. */
export function inspectedClock({ lifetimes }: MapInspection, asked: ClockSource, now: KernelTime): Clock {
  return clockAt(asked === 'ktime' ? asked : (clockSourceOf(lifetimes, now) ?? asked), now);
}

/** Whether the entries show that Cilium is active, by themselves or compared with an inspection a moment before. */
export function isActive(now: MapInspection, before: MapInspection | undefined, clock: Clock): boolean {
  if (before !== undefined && before.fingerprint !== now.fingerprint) return true;
  return isAlive(clock, now.latestShort);
}

/** Why maps of a layout cannot be read, with what to do; undefined where they can. */
export function layoutError(layout: Layout): SourceError | undefined {
  switch (layout) {
    case 'directed':
      return undefined;
    case 'summed':
      return new SourceError(
        'directions_summed',
        "Cilium's maps add what a connection sent to what it received (Cilium 1.16 and later): no reader can separate them, and no setting of Cilium changes that. -ct-mode=netfilter sees traffic that passes the host's network stack (Cilium's bpf.hostLegacyRouting=true); Cilium 1.15 counts each direction",
      );
    case 'zero':
      return new SourceError(
        'counters_off',
        "Cilium's maps have entries without counters: up to Cilium 1.15 its option ConntrackAccounting enables them; from 1.16 on bpf.ctAccounting=true would not help, since it adds both directions together. Use -ct-mode=netfilter where traffic passes the host's network stack",
      );
    case 'undetermined':
      return new SourceError('undetermined', "Cilium's maps hold no entry yet that shows what they count");
    case 'unknown':
      return new SourceError(
        'layout_unknown',
        "the counters in Cilium's maps are not as any known version keeps them: please report this with Cilium's version",
      );
  }
}
