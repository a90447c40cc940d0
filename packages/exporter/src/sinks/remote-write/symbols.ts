import { varintLength, writeVarint } from '@egressd/flow/varint';

/** More texts than that, and the table begins anew at the next frame, unless the last frame needed nearly as many. */
const LEAST_LIMIT = 200_000;
const FIRST_CAPACITY = 4096;

/** A text, and its number in the table. */
interface SeriesSymbols {
  readonly identity: string;
  /** Name and value of each label by turns. */
  readonly symbols: Uint32Array;
  /** Of its destination's address, below 2^26: those of one network stand together. */
  readonly order: number;
}

/**
 * Texts of labels, each with a number for as long as the process lives, and for each request the place of those that are in it:
 *
 *   number         0      1          2         3            all texts that were ever met
 *   text           ""     "src_pod"  "cart-1"  "proto"
 *   request        7      7          6         7            the last request that it is in
 *   place          0      2          9         1            its place among the symbols of that request
 *
 * So a label of a series costs two look-ups in arrays, and no text is compared twice. Texts are UTF-8 as Latin-1 strings, one
 * character a byte, as in `LabelWriter`.
 */
export class Symbols {
  readonly #numbers = new Map<string, number>();
  readonly #texts: string[] = [];
  #request = new Uint32Array(FIRST_CAPACITY);
  #place = new Uint32Array(FIRST_CAPACITY);
  /** By slot of the sink's state. */
  readonly #series: (SeriesSymbols | undefined)[] = [];
  #limit = LEAST_LIMIT;
  #current = 0;
  #places = 0;
  #buffer = Buffer.allocUnsafe(64 * 1024);
  #length = 0;

  /** `Request.symbols` (field 4) of the current request. Valid until the next one begins. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Length of `bytes`. */
  get length(): number {
    return this.#length;
  }

  /** A frame begins: a table that has grown much is made anew, and fills with what lives. */
  beginFrame(): void {
    if (this.#texts.length <= this.#limit) return;
    this.#numbers.clear();
    this.#texts.length = 0;
    this.#series.length = 0;
    this.#current = 0;
    this.#request.fill(0);
    this.#limit = Math.max(LEAST_LIMIT, 2 * this.#places);
  }

  /** A request begins: the empty text is its first symbol. */
  beginRequest(): void {
    this.#current++;
    this.#places = 0;
    this.#length = 0;
    this.placeOf(this.numberOf(''));
  }

  numberOf(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const number = this.#texts.length;
    if (number >= this.#request.length) this.#grow();
    this.#numbers.set(text, number);
    this.#texts.push(text);
    return number;
  }

  /** The place of a text in the current request, where it is put if it is not there yet. */
  placeOf(number: number): number {
    if (this.#request[number] === this.#current) return this.#place[number]!;
    const place = this.#places++;
    this.#request[number] = this.#current;
    this.#place[number] = place;
    this.#write(this.#texts[number]!);
    return place;
  }

  /** Numbers of a series' names and values, from its encoded labels. @param slot where it stands in the sink's state */
  ofSeries(slot: number, identity: string): Uint32Array {
    return this.#find(slot, identity).symbols;
  }

  /** Where a series stands among others: by the address of its destination. Below 2^26. */
  orderOf(slot: number, identity: string): number {
    return this.#find(slot, identity).order;
  }

  #find(slot: number, identity: string): SeriesSymbols {
    const known = this.#series[slot];
    if (known?.identity === identity) return known;
    const texts = textsOf(identity);
    const symbols = Uint32Array.from(texts, (text) => this.numberOf(text));
    const found: SeriesSymbols = { identity, symbols, order: orderOf(texts[texts.indexOf('dst_ip') + 1] ?? '') };
    this.#series[slot] = found;
    return found;
  }

  /** Writes the places of texts as varints. @returns their end */
  writePlaces(numbers: Uint32Array, into: Uint8Array, from: number): number {
    const [request, place, current] = [this.#request, this.#place, this.#current];
    let at = from;
    for (let i = 0; i < numbers.length; i++) {
      const number = numbers[i]!;
      const ref = request[number] === current ? place[number]! : this.placeOf(number);
      if (ref < 0x80) into[at++] = ref;
      else if (ref < 0x4000) {
        into[at++] = (ref & 0x7f) | 0x80;
        into[at++] = ref >>> 7;
      } else at = writeVarint(into, at, ref);
    }
    return at;
  }

  #write(text: string): void {
    const most = 1 + varintLength(text.length) + text.length;
    if (this.#length + most > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length + most, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    const buffer = this.#buffer;
    buffer[this.#length] = 0x22;
    const at = writeVarint(buffer, this.#length + 1, text.length);
    this.#length = at + buffer.write(text, at, text.length, 'latin1');
  }

  #grow(): void {
    const larger = new Uint32Array(this.#request.length * 2);
    larger.set(this.#request);
    this.#request = larger;
    const places = new Uint32Array(larger.length);
    places.set(this.#place);
    this.#place = places;
  }
}

/** Orders addresses: by the last 26 bits of IPv4, by the first group and the last of IPv6. */
function orderOf(address: string): number {
  const hex = address.includes(':');
  const groups = address.split(hex ? ':' : '.').map((group) => Number.parseInt(group || '0', hex ? 16 : 10));
  const number = hex ? groups[0]! * 2 ** 10 + groups.at(-1)! : groups.reduce((sum, group) => sum * 256 + group, 0);
  return number % 2 ** 26 || 0;
}

/** Names and values of encoded labels by turns: `TimeSeries.labels` of remote write 1.0, as `LabelWriter` writes them. */
export function textsOf(labels: string): string[] {
  const texts: string[] = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = labels.charCodeAt(at++);
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  };
  const text = () => {
    at++;
    const length = varint();
    at += length;
    return labels.slice(at - length, at);
  };
  while (at < labels.length) {
    at++;
    varint();
    texts.push(text(), text());
  }
  return texts;
}
