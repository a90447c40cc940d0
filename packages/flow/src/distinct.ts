import { ADDRESS_BYTES } from './address.ts';

const WORDS = ADDRESS_BYTES / 4;
/**
 * Odd multipliers, one a word, of this process: multiply-shift hashing, in which no peer can choose what collides (Dietzfelbinger 1997).
 * What is found does not depend on them.
 */
const MULTIPLIERS = crypto.getRandomValues(new Uint32Array(WORDS)).map((random) => random | 1);

/**
 * Whether each of the addresses is there once. In constant time an address, whatever the addresses.
 *
 *   slots  | 0 | index + 1 | 0 | 0 | index + 1 | ...    0: empty; at most half full
 */
export function areDistinct(addresses: Uint8Array): boolean {
  const count = addresses.length / ADDRESS_BYTES;
  const bits = Math.max(2, 33 - Math.clz32(count));
  const words = new Uint32Array(addresses.buffer, addresses.byteOffset, count * WORDS);
  const slots = new Uint32Array(2 ** bits);
  const mask = slots.length - 1;
  const [m0, m1, m2, m3] = [MULTIPLIERS[0]!, MULTIPLIERS[1]!, MULTIPLIERS[2]!, MULTIPLIERS[3]!];
  for (let i = 0, at = 0; i < count; i++, at += WORDS) {
    const [a, b, c, d] = [words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!];
    const hash = (Math.imul(a, m0) + Math.imul(b, m1) + Math.imul(c, m2) + Math.imul(d, m3)) >>> (32 - bits);
    let slot = hash;
    for (let other = slots[slot]!; other !== 0; other = slots[slot]!) {
      const o = (other - 1) * WORDS;
      if (words[o] === a && words[o + 1] === b && words[o + 2] === c && words[o + 3] === d) return false;
      slot = (slot + 1) & mask;
    }
    slots[slot] = i + 1;
  }
  return true;
}
