import type { Counter } from '../../aggregate/snapshot.ts';
import type { FrameImage, SinkStateImage } from '../../sinks/delivery/sink-state-image.ts';
import { Malformed, type Reader, type Writer } from './columns.ts';
import { COUNTERS, MAX_TIME_MS, MODES } from './constants.ts';

/** Highest kind of a slot (`sink-state-image.ts`) and of a unit (`frame.ts`). */
const MAX_SLOT_KIND = 2;
const MAX_UNIT_KIND = 2;
/** Totals are doubles that may be rounded: there is no other bound. */
const MAX_TOTAL = Number.MAX_VALUE;

/** Writes the state of one sink. */
export function writeSinkState(into: Writer, image: SinkStateImage): void {
  into.text(image.identityScheme);
  into.text(image.receiverId);
  into.column(Uint8Array.from(COUNTERS, (counter) => image.counters.indexOf(counter) + 1));
  into.text(image.origin);
  into.number(MODES.indexOf(image.mode));
  into.number(image.lastMs);
  into.column(image.slotOf);
  into.number(image.kinds.length);
  into.column(image.kinds);
  into.number(image.ended.size);
  into.column(Float64Array.from(image.ended.keys()));
  into.texts([...image.ended.values()]);
  into.column(image.backoffUntilMs);
  into.column(image.refusals);
  into.column(image.started);
  into.column(image.startMs);
  into.column(image.acceptedMs);
  for (const column of [image.totalLow, image.totalHigh, image.acceptedLow, image.acceptedHigh]) into.column(column);
  into.number(image.frame === undefined ? 0 : 1);
  if (image.frame !== undefined) writeFrame(into, image.frame);
}

function writeFrame(into: Writer, frame: FrameImage): void {
  into.number(MODES.indexOf(frame.mode));
  into.number(frame.timeMs);
  into.number(frame.inBackoff);
  into.number(frame.deferred);
  into.number(frame.slots.length);
  into.column(frame.slots);
  into.column(frame.kinds);
  into.column(frame.values);
  into.number(frame.remaining.length);
  into.column(frame.remaining);
  into.number(frame.zeroSamples?.timeMs ?? 0);
  if (frame.zeroSamples === undefined) return;
  into.column(frame.zeroSamples.kinds);
  into.column(frame.zeroSamples.values);
}

/**
 * Reads what `writeSinkState` wrote.
 * @param rows number of series in the totals
 * @param times false: an older version wrote it, without start times and times of last samples
 * @throws Malformed
 */
export function readSinkState(from: Reader, rows: number, times: boolean): SinkStateImage {
  const [identityScheme, receiverId, counters] = [from.text(), from.text(), readCounters(from)];
  const [origin, mode, lastMs] = [from.text(), MODES[from.number(MODES.length - 1)], from.number(MAX_TIME_MS)];
  const slotOf = new Uint32Array(from.column(rows, 2 ** 32 - 1));
  const slots = from.count();
  const kinds = new Uint8Array(from.column(slots, MAX_SLOT_KIND));
  const ended = readEnded(from, slots);
  const backoffUntilMs = from.column(slots, MAX_TIME_MS);
  const refusals = new Uint8Array(from.column(slots, 255));
  const units = slots * counters.length;
  const started = new Uint8Array(from.column(units, 1));
  const [startMs, acceptedMs] = [0, 1].map(() => (times ? from.column(units, MAX_TIME_MS) : new Float64Array(units)));
  const [totalLow, totalHigh, acceptedLow, acceptedHigh] = [0, 1, 2, 3].map(() => from.column(units, MAX_TOTAL));
  const columns = {
    startMs: startMs!,
    acceptedMs: acceptedMs!,
    totalLow: totalLow!,
    totalHigh: totalHigh!,
    acceptedLow: acceptedLow!,
    acceptedHigh: acceptedHigh!,
  };
  checkSlots(kinds, slotOf, ended);
  const frame = from.number(1) === 0 ? undefined : readFrame(from, kinds, counters.length);
  return {
    ...{ identityScheme, receiverId, counters, origin, mode, lastMs },
    ...{ slotOf, kinds, ended, backoffUntilMs, refusals, started, ...columns, frame },
  };
}

/** The column has, by counter, its place in the sink's frames from 1 on; 0: it is not sent. */
function readCounters(from: Reader): Counter[] {
  const places = from.column(COUNTERS.length, COUNTERS.length);
  const counters: Counter[] = [];
  for (const [at, counter] of COUNTERS.entries()) if (places[at] !== 0) counters[places[at]! - 1] = counter;
  const whole = counters.length > 0 && counters.length === places.filter((place) => place !== 0).length;
  if (!whole || counters.includes(undefined as unknown as Counter))
    throw new Malformed('counters that are not numbered from 1 on');
  return counters;
}

function readEnded(from: Reader, slots: number): Map<number, string> {
  const ended = from.column(from.count(), slots - 1);
  const identities = from.texts();
  if (identities.length !== ended.length) throw new Malformed('identities without a slot');
  return new Map(Array.from(ended, (slot, at) => [slot, identities[at]!]));
}

/** Every slot in use has an identity: its own, or that of a series. @throws Malformed */
function checkSlots(kinds: Uint8Array, slotOf: Uint32Array, ended: ReadonlyMap<number, string>): void {
  const named = new Uint8Array(kinds.length);
  for (const slot of ended.keys()) named[slot] = 1;
  for (const slot of slotOf) {
    if (slot >= kinds.length) throw new Malformed(`a series in slot ${slot}`);
    named[slot] = 1;
  }
  for (let slot = 0; slot < kinds.length; slot++)
    if ((kinds[slot] !== 0) !== (named[slot] === 1)) throw new Malformed(`slot ${slot} without identity or use`);
}

function readFrame(from: Reader, slotKinds: Uint8Array, width: number): FrameImage {
  const mode = MODES[from.number(MODES.length - 1)];
  if (mode === undefined) throw new Malformed('a frame without a mode');
  const [timeMs, inBackoff, deferred] = [from.number(MAX_TIME_MS), from.number(2 ** 32), from.number(2 ** 32)];
  const rows = from.count();
  const slots = new Uint32Array(from.column(rows, slotKinds.length - 1));
  if (slots.some((slot) => slotKinds[slot] === 0)) throw new Malformed('a frame with a row of a free slot');
  const units = rows * width;
  const samples = () => ({
    kinds: new Uint8Array(from.column(units, MAX_UNIT_KIND)),
    values: from.column(units, MAX_TOTAL),
  });
  const frame = { mode, timeMs, inBackoff, deferred, slots, ...samples(), remaining: readBounds(from, units) };
  const startMs = from.number(MAX_TIME_MS);
  return { ...frame, zeroSamples: startMs === 0 ? undefined : { timeMs: startMs, ...samples() } };
}

/** Pairs of begin and end, none beyond the units. */
function readBounds(from: Reader, units: number): Uint32Array {
  const bounds = new Uint32Array(from.column(from.count(), units));
  const whole = bounds.length % 2 === 0 && bounds.every((end, i) => i % 2 === 0 || end >= bounds[i - 1]!);
  if (!whole) throw new Malformed('a part that ends before it begins');
  return bounds;
}
