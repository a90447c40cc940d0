import { writeVarint } from '@egressd/flow/varint';

/** `Sum.data_points`, then `NumberDataPoint.start_time_unix_nano`, `.time_unix_nano`, `.as_int`, `.flags`: field and wire type. */
const POINT_TAG = 0x0a;
const START_TAG = 0x11;
const TIME_TAG = 0x19;
const INT_TAG = 0x31;
const FLAGS_TAG = 0x40;
/** `DataPointFlags`: the series has ended, there is no value. */
const NO_RECORDED_VALUE = 1;
/** Tag and eight bytes. */
const FIXED_BYTES = 9;
/** The most bytes of a point beside its attributes: tag, length, start, time, value. */
const MAX_OTHER_BYTES = 1 + 5 + 3 * FIXED_BYTES;
/** The largest double that an int64 holds. A counter beyond it stays there. */
const MAX_INT64 = 2 ** 63 - 1024;
const HIGH = 2 ** 32;
const NANOS = 1_000_000n;

/**
 * The encoded data points of one metric, one behind the other, in a buffer that is reused:
 *
 *   tag, length | start | time | value | attributes (the identity)              a point
 *   tag, length | start | time |         attributes              | flags        a series that has ended
 */
export class PointBuffer {
  #buffer = Buffer.allocUnsafe(64 * 1024);
  #length = 0;
  readonly #time = Buffer.alloc(8);
  readonly #start = Buffer.alloc(8);
  #startMs = 0;

  /** The most bytes that a point with these attributes needs. */
  static mostBytes(identity: string): number {
    return identity.length + MAX_OTHER_BYTES;
  }

  /** Of the points so far. Valid until the next change. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Points of another request follow, all of them with this time (Unix milliseconds). */
  begin(timeMs: number): void {
    this.#length = 0;
    this.#time.writeBigUInt64LE(BigInt(timeMs) * NANOS);
  }

  /**
   * @param identity the encoded attributes, one character a byte
   * @param startMs Unix milliseconds; 0: not known
   * @param value undefined: the series has ended
   * @returns the bytes that were added
   */
  add(identity: string, startMs: number, value: number | undefined): number {
    const before = this.#length;
    const most = before + PointBuffer.mostBytes(identity);
    if (most > this.#buffer.length) this.#buffer = Buffer.concat([this.#buffer], 2 * most);
    if (startMs !== this.#startMs) {
      this.#start.writeBigUInt64LE(BigInt(startMs) * NANOS);
      this.#startMs = startMs;
    }
    const into = this.#buffer;
    const valueBytes = value === undefined ? 2 : FIXED_BYTES;
    let end = before;
    into[end++] = POINT_TAG;
    end = writeVarint(into, end, 2 * FIXED_BYTES + valueBytes + identity.length);
    end = writeFixed(into, end, START_TAG, this.#start);
    end = writeFixed(into, end, TIME_TAG, this.#time);
    if (value !== undefined) end = writeInt(into, end, value);
    end += into.write(identity, end, identity.length, 'latin1');
    if (value === undefined) {
      into[end++] = FLAGS_TAG;
      into[end++] = NO_RECORDED_VALUE;
    }
    this.#length = end;
    return end - before;
  }
}

function writeFixed(into: Buffer, at: number, tag: number, bytes: Uint8Array): number {
  into[at] = tag;
  for (let i = 0; i < 8; i++) into[at + 1 + i] = bytes[i]!;
  return at + FIXED_BYTES;
}

function writeInt(into: Buffer, at: number, value: number): number {
  const whole = Math.min(value, MAX_INT64);
  into[at] = INT_TAG;
  into.writeUInt32LE(whole % HIGH, at + 1);
  into.writeUInt32LE(Math.floor(whole / HIGH), at + 5);
  return at + FIXED_BYTES;
}
