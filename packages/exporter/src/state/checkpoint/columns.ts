import { Bug } from '@egressd/flow/bug';

/** Bytes that no `Writer` wrote so: truncated, modified, or foreign. */
export class Malformed extends Error {
  override readonly name = 'Malformed';
}

/** A column of whole numbers from 0 on. */
type Numbers = Float64Array | Uint32Array | Uint8Array;

/** Bytes of a number in a column. 0: every number is zero, and none is written. */
type Width = 0 | 1 | 2 | 4 | 8;

/**
 * Writes what a checkpoint is made of:
 *
 *   number   8 bytes, a double
 *   column   width of a number (0, 1, 2, 4, 8) | the numbers, 8: as doubles
 *   text     length as a number | UTF-8
 *   texts    how many as a number | column of their lengths in bytes | all of them, UTF-8
 *
 * Little-endian, as all machines are that Node.js supports. The bytes have no schema: reader and writer have to agree on the order, and
 * on the length of each column.
 */
export class Writer {
  readonly #pieces: Uint8Array[] = [];

  /** Everything written so far. */
  bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  number(value: number): void {
    this.#put(Float64Array.of(value));
  }

  /** @throws Bug where one is no whole number from 0 on */
  column(numbers: Numbers): void {
    const width = widthOf(numbers);
    this.#pieces.push(Uint8Array.of(width));
    if (width === 1) this.#put(new Uint8Array(numbers));
    if (width === 2) this.#put(new Uint16Array(numbers));
    if (width === 4) this.#put(new Uint32Array(numbers));
    if (width === 8) this.#put(new Float64Array(numbers));
  }

  text(text: string): void {
    const utf8 = Buffer.from(text);
    this.number(utf8.length);
    this.#pieces.push(utf8);
  }

  texts(texts: readonly string[]): void {
    // Lone surrogates would join with those of the neighbouring text.
    const whole = texts.map((text) => text.toWellFormed());
    this.number(texts.length);
    this.column(Uint32Array.from(whole, (text) => Buffer.byteLength(text)));
    this.#pieces.push(Buffer.from(whole.join('')));
  }

  /** The numbers are not copied: they must not change afterwards. */
  #put(numbers: Numbers | Uint16Array): void {
    this.#pieces.push(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength));
  }
}

function widthOf(numbers: Numbers): Width {
  let most = 0;
  for (let at = 0; at < numbers.length; at++) {
    const number = numbers[at]!;
    if (!(number >= 0) || Math.floor(number) !== number) throw new Bug(`${number} in a column`);
    if (number > most) most = number;
  }
  if (most === 0) return 0;
  if (most < 2 ** 8) return 1;
  if (most < 2 ** 16) return 2;
  return most < 2 ** 32 ? 4 : 8;
}

/** Reads what `Writer` wrote. Every read beyond the end, or of a value out of its bounds, throws `Malformed`. */
export class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Whether everything was read. */
  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** A whole number from 0 to `most`. */
  number(most: number): number {
    const value = this.#take(8).readDoubleLE();
    if (!(value >= 0 && value <= most) || Math.floor(value) !== value) throw new Malformed(`${value} as a number`);
    return value;
  }

  /** A number of things that take at least one byte each further on: no more than the remaining bytes. */
  count(): number {
    return this.number(this.#bytes.length - this.#at);
  }

  /** Numbers from 0 to `most`. */
  column(length: number, most: number): Float64Array {
    const numbers = this.#column(length);
    for (let at = 0; at < length; at++) {
      const number = numbers[at]!;
      if (!(number >= 0 && number <= most) || Math.floor(number) !== number)
        throw new Malformed(`${number} in a column`);
    }
    return numbers;
  }

  text(): string {
    return this.#take(this.count()).toString('utf8');
  }

  texts(): string[] {
    const lengths = this.column(this.count(), this.#bytes.length);
    return Array.from(lengths, (length) => this.#take(length).toString('utf8'));
  }

  #column(length: number): Float64Array {
    const [width] = this.#take(1);
    switch (width) {
      case 0:
        return new Float64Array(length);
      case 1:
        return new Float64Array(this.#take(length));
      case 2:
        return new Float64Array(new Uint16Array(this.#copy(2 * length)));
      case 4:
        return new Float64Array(new Uint32Array(this.#copy(4 * length)));
      case 8:
        return new Float64Array(this.#copy(8 * length));
      default:
        throw new Malformed(`a column of width ${width}`);
    }
  }

  /** A copy, because typed arrays need aligned offsets. */
  #copy(length: number): ArrayBuffer {
    return new Uint8Array(this.#take(length)).buffer;
  }

  #take(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw new Malformed(`${length} bytes where fewer remain`);
    const from = this.#at;
    this.#at += length;
    return this.#bytes.subarray(from, this.#at);
  }
}
