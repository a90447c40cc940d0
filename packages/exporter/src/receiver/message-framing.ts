import type { RefusedMessage } from './metrics.ts';

/** A flag and a length, big-endian. */
const PREFIX_BYTES = 5;

/**
 * Follows the messages of one request stream as its bytes come, and keeps none of them
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message"):
 *
 *   | compressed 0 or 1 (1) | length (4) | message ... | compressed | length | ...
 */
export class MessageFraming {
  /** Messages that have come whole. */
  messages = 0;
  /** Bytes of the one that has begun, with its prefix. */
  unfinished = 0;
  readonly #maxFirst: number;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixLength = 0;
  #remaining = 0;

  /** @param maxFirst bytes of the first message at the most */
  constructor(maxFirst: number) {
    this.#maxFirst = maxFirst;
  }

  /** Takes the next bytes. @returns why they are refused, where they are */
  push(chunk: Uint8Array): RefusedMessage | undefined {
    for (let at = 0; at < chunk.length; ) {
      const wanted = this.#prefixLength < PREFIX_BYTES ? PREFIX_BYTES - this.#prefixLength : this.#remaining;
      const taken = Math.min(wanted, chunk.length - at);
      if (this.#prefixLength < PREFIX_BYTES) {
        this.#prefix.set(chunk.subarray(at, at + taken), this.#prefixLength);
        this.#prefixLength += taken;
        if (this.#prefixLength === PREFIX_BYTES) this.#remaining = this.#prefix.readUInt32BE(1);
      } else this.#remaining -= taken;
      at += taken;
      this.unfinished += taken;
      if (this.#prefixLength < PREFIX_BYTES) continue;
      if (this.#prefix[0] !== 0) return 'compressed';
      if (this.messages === 0 && this.#remaining > this.#maxFirst) return 'first_too_long';
      if (this.#remaining === 0) this.#next();
    }
    return undefined;
  }

  #next(): void {
    this.messages++;
    this.unfinished = 0;
    this.#prefixLength = 0;
  }
}
