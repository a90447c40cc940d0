import { readBtf } from '../../native/bpf.ts';
import { SourceError } from '../source-error.ts';
import { memberNames } from './btf.ts';
import { type Clock, type ClockSource, clockAt, clockSourceOf, isAlive, type KernelTime } from './clock.ts';
import { type Entries, viewEntries } from './decode.ts';
import {
  type Evidence,
  KEY_BYTES_V4,
  KEY_BYTES_V6,
  type Layout,
  layoutOf,
  MIN_FRAME_V4,
  MIN_FRAME_V6,
  noEvidence,
  testimonyOf,
  VALUE_WORDS,
  WORD_LIFETIME,
  WORD_RX_PACKETS,
  WORD_TX_PACKETS,
  wide,
} from './layout.ts';
import type { MapReader } from './map-reader.ts';
import type { OpenMaps } from './maps.ts';

/** Lifetimes that are looked at for which clock they are of. */
const MOST_LIFETIMES = 4096;

/** What all entries of Cilium's maps say together. */
export interface Survey {
  readonly entries: number;
  readonly evidence: Evidence;
  /** Of some entries. */
  readonly lifetimes: readonly number[];
  /** The latest end of an entry that is not TCP's: those live for a minute without traffic. */
  readonly latestShort: number;
  /** Changes with every packet and every entry. */
  readonly fingerprint: number;
  /** What the maps' own description says of the values, where they have one. */
  readonly described: Layout | undefined;
}

/** Looks at every entry once. */
export async function surveyMaps({ connections }: OpenMaps, readerOf: (family: 4 | 6) => MapReader): Promise<Survey> {
  const survey = { entries: 0, evidence: noEvidence(), lifetimes: [] as number[], latestShort: 0, fingerprint: 0 };
  for (const { map, family, protocols } of connections) {
    for await (const { keys, values, count } of readerOf(family).read(map)) {
      survey.entries += count;
      lookAt(survey, viewEntries(family, keys, values), count, protocols === 'any');
    }
  }
  const btf = connections.map(({ map }) => map.btf).find(({ valueType }) => valueType !== 0);
  return { ...survey, described: btf === undefined ? undefined : describedLayout(btf) };
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type Growing = Writable<Pick<Survey, 'latestShort' | 'fingerprint' | 'evidence'>> & { readonly lifetimes: number[] };

function lookAt(survey: Growing, { family, keys, values }: Entries, count: number, isShort: boolean): void {
  const halves = (family === 4 ? KEY_BYTES_V4 : KEY_BYTES_V6) >> 1;
  const minFrame = family === 4 ? MIN_FRAME_V4 : MIN_FRAME_V6;
  for (let entry = 0; entry < count; entry++) {
    const last = keys[(entry + 1) * halves - 1]!;
    const at = entry * VALUE_WORDS;
    const testimony = testimonyOf(last >>> 8, last & 0xff, minFrame, values, at);
    if (testimony !== 'none') survey.evidence[testimony]++;
    const lifetime = values[at + WORD_LIFETIME]!;
    if (survey.lifetimes.length < MOST_LIFETIMES) survey.lifetimes.push(lifetime);
    if (isShort) survey.latestShort = Math.max(survey.latestShort, lifetime);
    const packets = wide(values, at + WORD_RX_PACKETS) + wide(values, at + WORD_TX_PACKETS);
    survey.fingerprint = (survey.fingerprint + lifetime + packets + 1) % Number.MAX_SAFE_INTEGER;
  }
}

/** What the names of a value's members say, where the kernel lets us read them (it may want SYS_ADMIN for that). */
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
export function surveyedLayout({ evidence, described }: Survey): Layout {
  const shown = layoutOf(evidence);
  if (described === 'summed') return shown === 'silent' ? 'silent' : 'summed';
  return shown === 'untold' && described === 'directed' && evidence.neutral > 0 ? 'directed' : shown;
}

/** The clock of the entries: `ktime` where it was asked for, else what they tell, else what Cilium uses by default. */
export function surveyedClock({ lifetimes }: Survey, asked: ClockSource, now: KernelTime): Clock {
  return clockAt(asked === 'ktime' ? asked : (clockSourceOf(lifetimes, now) ?? asked), now);
}

/** Whether the entries show that Cilium is at work, by themselves or by a look a moment before. */
export function isAtWork(survey: Survey, before: Survey | undefined, clock: Clock): boolean {
  if (before !== undefined && before.fingerprint !== survey.fingerprint) return true;
  return isAlive(clock, survey.latestShort);
}

/** Why maps of a layout cannot be read, with what to do; undefined where they can. */
export function refusalOf(layout: Layout): SourceError | undefined {
  switch (layout) {
    case 'directed':
      return undefined;
    case 'summed':
      return new SourceError(
        'directions_summed',
        "Cilium's maps add what a connection sent to what it received (Cilium 1.16 and later): no reader can tell them apart, and no setting of Cilium changes that. -ct-mode=netfilter sees traffic that passes the host's network stack (Cilium's bpf.hostLegacyRouting=true); Cilium 1.15 counts each direction",
      );
    case 'silent':
      return new SourceError(
        'counters_off',
        "Cilium's maps have entries without counters: up to Cilium 1.15 its option ConntrackAccounting switches them on; from 1.16 on bpf.ctAccounting=true would not help, since it adds both directions together. Use -ct-mode=netfilter where traffic passes the host's network stack",
      );
    case 'untold':
      return new SourceError('untold', "Cilium's maps hold no entry yet that tells what they count");
    case 'strange':
      return new SourceError(
        'layout_unknown',
        "the counters in Cilium's maps are not as any known version keeps them: please report this with Cilium's version",
      );
  }
}
