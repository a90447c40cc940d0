import { FLAG, STRIDE, WORD } from '../record.ts';
import { END, KEY, KEY_BYTES, VALUE, VALUE_BYTES } from './layout.ts';

/** The loop's own constants, as in `cilium/decode.ts`. */
const RECORD = STRIDE;
const KEY_WORDS = KEY_BYTES / 4;
const VALUE_WORDS = VALUE_BYTES / 4;
const { low: LOW, high: HIGH, born: BORN, last: LAST } = VALUE;
const { low: KEY_LOW, high: KEY_HIGH } = KEY;
const { sentBytes: SENT_BYTES, sentPackets: SENT, receivedBytes: RECEIVED_BYTES, receivedPackets: RECEIVED } = END;
const { zoneProtocol, originalSource, originalDestination, replySource, identity } = WORD;
const { originalPackets, replyPackets, flags } = WORD;
const [ICMP, ICMPV6] = [1, 58];
const TWO_32 = 0x1_0000_0000;

/** Entries as a batch brings them. */
export interface Entries {
  readonly keys: Uint32Array;
  readonly values: Uint32Array;
}

/** The same bytes as words. */
export function viewEntries(keys: Uint8Array, values: Uint8Array): Entries {
  return {
    keys: new Uint32Array(keys.buffer, keys.byteOffset, keys.length >> 2),
    values: new Uint32Array(values.buffer, values.byteOffset, values.length >> 2),
  };
}

/**
 * Decodes entries into records. The original source is the end that had a socket here first, always, so that a pair keeps its key. The
 * time at which an entry was made is its identity: one that comes back after it was removed is another.
 *
 * What one end sent the other was sent by its sockets, or received by the other's, or both where both are on this node: then the larger
 * number has what the kernel sent or took without a socket on the other side (a reset, the last packets of a connection). Only of echoes
 * what was sent goes first: every process that pings hears the answers to all.
 *
 * @param first entry
 * @param to behind the last entry
 * @param block has room for all of them; what is not written here is 0
 */
export function decodeEntries({ keys, values }: Entries, first: number, to: number, block: Uint32Array): void {
  for (let entry = first, base = 0; entry < to; entry++, base += RECORD) {
    const key = entry * KEY_WORDS;
    const value = entry * VALUE_WORDS;
    block[base + zoneProtocol] = keys[key + KEY.protocol]! << 16;
    const isHighFirst = (values[value + BORN]! & 1) !== 0;
    const from = key + (isHighFirst ? KEY_HIGH : KEY_LOW);
    const far = key + (isHighFirst ? KEY_LOW : KEY_HIGH);
    for (let word = 0; word < 4; word++) {
      block[base + originalSource + word] = keys[from + word]!;
      block[base + originalDestination + word] = keys[far + word]!;
      block[base + replySource + word] = keys[far + word]!;
    }
    block[base + identity] = values[value + BORN]!;
    block[base + identity + 1] = values[value + BORN + 1]!;
    const own = value + (isHighFirst ? HIGH : LOW);
    const other = value + (isHighFirst ? LOW : HIGH);
    const isEcho = keys[key + KEY.protocol] === ICMP || keys[key + KEY.protocol] === ICMPV6;
    const original = base + originalPackets;
    const reply = base + replyPackets;
    copyOne(values, own + SENT, other + RECEIVED, isEcho, block, original);
    copyOne(values, own + SENT_BYTES, other + RECEIVED_BYTES, isEcho, block, original + 2);
    copyOne(values, other + SENT, own + RECEIVED, isEcho, block, reply);
    copyOne(values, other + SENT_BYTES, own + RECEIVED_BYTES, isEcho, block, reply + 2);
    block[base + flags] = FLAG.counters;
  }
}

function isSet(values: Uint32Array, at: number): boolean {
  return values[at] !== 0 || values[at + 1] !== 0;
}

/** Copies one of two counters: the larger, or with `first` the one that was sent where there is any. */
function copyOne(
  values: Uint32Array,
  sent: number,
  received: number,
  first: boolean,
  block: Uint32Array,
  to: number,
): void {
  const isSent = first ? isSet(values, sent) : isLarger(values, sent, received);
  const from = isSent ? sent : received;
  block[to] = values[from]!;
  block[to + 1] = values[from + 1]!;
}

function isLarger(values: Uint32Array, one: number, other: number): boolean {
  const [high, otherHigh] = [values[one + 1]!, values[other + 1]!];
  return high === otherHigh ? values[one]! > values[other]! : high > otherHigh;
}

/** When an entry last counted a packet, in the kernel's ticks. */
export function lastTick(values: Uint32Array, entry: number): number {
  const at = entry * VALUE_WORDS + LAST;
  return values[at + 1]! * TWO_32 + values[at]!;
}

/** An address whose sockets are on this node, for both ends of an entry. */
export function isLocal(values: Uint32Array, entry: number, end: 'low' | 'high'): boolean {
  const at = entry * VALUE_WORDS + VALUE[end];
  return isSet(values, at + SENT) || isSet(values, at + RECEIVED);
}

export { KEY, KEY_WORDS, VALUE_WORDS };
