import { type ConnectionBlock, STRIDE } from '../record.ts';
import { decodeEntries, type Entries } from './decode.ts';

/** Records that are decoded and delivered together: so few that they stay in the processor's cache. */
const BLOCK_RECORDS = 1024;

/** Delivers entries as records, a block at a time. */
export class PairRecords {
  readonly #block = new Uint32Array(BLOCK_RECORDS * STRIDE);

  /** @param from first entry @param to behind the last @param onBlock may not keep the block */
  deliver(entries: Entries, from: number, to: number, onBlock: (block: ConnectionBlock) => void): void {
    for (let at = from; at < to; at += BLOCK_RECORDS) {
      const count = Math.min(BLOCK_RECORDS, to - at);
      decodeEntries(entries, at, at + count, this.#block);
      onBlock({ words: this.#block, count });
    }
  }
}
