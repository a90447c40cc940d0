import { varintLength, writeVarint } from '@egressd/flow/varint';
import type { Counter, SeriesLabels } from '../../aggregate/snapshot.ts';
import { METRIC_NAMES } from '../counters.ts';
import { labelReaders } from '../label-sets/read-labels.ts';
import { chosenLabels, type LabelChoice, REGION_LABELS } from '../label-sets/settings.ts';

const METRIC_NAME_LABEL = '__name__';
/** `TimeSeries.labels`, field 1. */
const LABELS_TAG = 0x0a;

/** Settings that labels depend on. */
export interface LabelOptions extends LabelChoice {
  /** Custom labels, added to every series. */
  readonly labels: Readonly<Record<string, string>>;
  readonly regionLabels: boolean;
}

/**
 * Writes the labels of series as the encoded fields of a `TimeSeries`, sorted by name. They are split around the name of the metric,
 * which alone differs between the counters of a series:
 *
 *   before            __name__           after (the identity)
 *   CLUSTER="a"       one a counter      cross_zone="true" dst_ip="10.0.0.1" ...
 *   same for all      same for all       one a series
 *
 * Encoded labels are Latin-1 strings, one character a byte: they are keys of a Map, and writing one into a buffer is one call.
 */
export class LabelWriter {
  /** Custom labels that sort before `__name__`: those that begin with a capital. */
  readonly before: Uint8Array;
  readonly #after: readonly OneLabel[];
  #scratch = Buffer.alloc(1024);

  constructor(options: LabelOptions) {
    const custom = Object.entries(options.labels).filter(([, value]) => value !== '');
    const before = custom.filter(([name]) => name < METRIC_NAME_LABEL).sort(byName);
    this.before = Buffer.concat(before.map(([name, value]) => encodeLabel(name, value)));
    const constant = custom
      .filter(([name]) => name > METRIC_NAME_LABEL)
      .map(([name, value]): [string, ReadLabel] => [name, () => value]);
    const names = chosenLabels(options, options.regionLabels ? REGION_LABELS : []);
    const own = labelReaders(names).map(({ name, read }): [string, ReadLabel] => [name, read]);
    this.#after = [...own, ...constant].sort(byName).map(([name, read]) => ({ name, read, head: headOf(name) }));
  }

  /** The encoded labels after the metric's name. */
  identityOf(labels: SeriesLabels): string {
    let end = 0;
    for (const label of this.#after) {
      const value = label.read(labels);
      if (value !== '') end = this.#write(end, label, value);
    }
    return this.#scratch.toString('latin1', 0, end);
  }

  /** Writes one label where both lengths take one byte and every character too, as in nearly all labels there are. */
  #write(at: number, { name, head }: OneLabel, value: string): number {
    const length = head.length + 1 + value.length;
    if (length >= 0x80) return this.#writeRare(at, name, value);
    if (at + length + 2 > this.#scratch.length) this.#grow(at + length + 2);
    const scratch = this.#scratch;
    let end = at;
    scratch[end++] = LABELS_TAG;
    scratch[end++] = length;
    for (let i = 0; i < head.length; i++) scratch[end++] = head[i]!;
    scratch[end++] = value.length;
    for (let i = 0; i < value.length; i++) {
      const character = value.charCodeAt(i);
      if (character >= 0x80) return this.#writeRare(at, name, value);
      scratch[end++] = character;
    }
    return end;
  }

  #writeRare(at: number, name: string, value: string): number {
    const encoded = encodeLabel(name, value);
    if (at + encoded.length > this.#scratch.length) this.#grow(at + encoded.length);
    this.#scratch.set(encoded, at);
    return at + encoded.length;
  }

  #grow(atLeast: number): void {
    this.#scratch = Buffer.concat([this.#scratch], 2 * atLeast);
  }
}

type ReadLabel = (labels: SeriesLabels) => string;

interface OneLabel {
  readonly name: string;
  readonly read: ReadLabel;
  /** The encoded name, up to the length of the value. */
  readonly head: Uint8Array;
}

/** The encoded label that names the metric of a counter. */
export function metricNameLabel(counter: Counter): Uint8Array {
  return encodeLabel(METRIC_NAME_LABEL, METRIC_NAMES[counter]);
}

/** By UTF-16 units: the names are ASCII, so it is the order of bytes that receivers ask for. */
function byName(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0;
}

/** `TimeSeries.labels` (field 1) with `Label.name` (1) and `Label.value` (2). */
function encodeLabel(name: string, value: string): Uint8Array {
  const head = headOf(name);
  const utf8 = Buffer.from(value);
  const body = Buffer.concat([head, encodeVarint(utf8.length), utf8]);
  return Buffer.concat([Uint8Array.of(LABELS_TAG), encodeVarint(body.length), body]);
}

/** `Label.name` and the tag of `Label.value`. */
function headOf(name: string): Uint8Array {
  return Buffer.concat([Uint8Array.of(0x0a), encodeVarint(name.length), Buffer.from(name), Uint8Array.of(0x12)]);
}

function encodeVarint(value: number): Uint8Array {
  const bytes = new Uint8Array(varintLength(value));
  writeVarint(bytes, 0, value);
  return bytes;
}
