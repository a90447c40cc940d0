/** Why a file of the state directory cannot be used. */
export type StateRefusal =
  /** Something else wrote it. */
  | 'foreign'
  /** Another version of egressd wrote it. */
  | 'version'
  /** It is cut off, or was changed. */
  | 'damaged';

/** All of them. */
export const STATE_REFUSALS: readonly StateRefusal[] = ['foreign', 'version', 'damaged'];

/** What a reader throws where the bytes cannot be what they claim to be. Never leaves the decoders. */
export class StateRefusalError extends Error {
  override readonly name = 'StateRefusalError';
  readonly reason: StateRefusal;

  constructor(reason: StateRefusal) {
    super(reason);
    this.reason = reason;
  }
}

/** A file decoded, or why not. */
export type Decoded<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: StateRefusal };

/** Runs a decoder. @returns what it decoded, or why it refused */
export function decoded<T>(decode: () => T): Decoded<T> {
  try {
    return { ok: true, value: decode() };
  } catch (error) {
    if (!(error instanceof StateRefusalError)) throw error;
    return { ok: false, reason: error.reason };
  }
}

/** Reads numbers and texts one after the other, little-endian; never beyond the end. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Bytes that are not read yet. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** A whole number, 0 or more, that a double holds exactly. */
  count(): number {
    const value = this.#view.getFloat64(this.#take(8), true);
    if (!Number.isSafeInteger(value) || value < 0) throw new StateRefusalError('damaged');
    return value;
  }

  i64(): bigint {
    return this.#view.getBigInt64(this.#take(8), true);
  }

  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** A text behind its length. */
  text(): string {
    return new TextDecoder().decode(this.bytes(this.u32()));
  }

  #take(length: number): number {
    if (length > this.left) throw new StateRefusalError('damaged');
    const at = this.#at;
    this.#at += length;
    return at;
  }
}

/** Writes what a `ByteReader` reads. */
export class ByteWriter {
  readonly #parts: Uint8Array[] = [];

  u32(value: number): this {
    return this.#number(4, (bytes) => bytes.writeUInt32LE(value));
  }

  count(value: number): this {
    return this.#number(8, (bytes) => bytes.writeDoubleLE(value));
  }

  i64(value: bigint): this {
    return this.#number(8, (bytes) => bytes.writeBigInt64LE(value));
  }

  /** Kept as they are, not copied: they may not change before they are written. */
  bytes(value: Uint8Array): this {
    this.#parts.push(value);
    return this;
  }

  text(value: string): this {
    const bytes = Buffer.from(value);
    return this.u32(bytes.length).bytes(bytes);
  }

  /** All of it, in order. */
  take(): readonly Uint8Array[] {
    return this.#parts;
  }

  #number(length: number, write: (bytes: Buffer) => void): this {
    const bytes = Buffer.alloc(length);
    write(bytes);
    return this.bytes(bytes);
  }
}
