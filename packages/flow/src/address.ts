import { Bug } from './bug.ts';

/**
 * Addresses are 16 bytes everywhere, IPv4 as `::ffff:a.b.c.d` (RFC 4291, 2.5.5.2). They are handled in place: a buffer and
 * the offset of the first byte.
 */

export const ADDRESS_BYTES = 16;

/** `0.0.0.0`, mapped: what public IPv4 addresses are folded to (`-group-public-ips`, and the cardinality limit). */
export const ANY_V4 = mapped(0, 0, 0, 0);
/** `::`: what public IPv6 addresses are folded to. */
export const ANY_V6 = new Uint8Array(ADDRESS_BYTES);

function mapped(a: number, b: number, c: number, d: number): Uint8Array {
  return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d);
}

/** Whether the address is an IPv4 one. */
export function isV4(bytes: Uint8Array, at = 0): boolean {
  for (let i = 0; i < 10; i++) if (bytes[at + i] !== 0) return false;
  return bytes[at + 10] === 0xff && bytes[at + 11] === 0xff;
}

/** The address as text: dotted IPv4, or IPv6 in the form of RFC 5952. */
export function formatAddress(bytes: Uint8Array, at = 0): string {
  if (isV4(bytes, at)) return `${bytes[at + 12]}.${bytes[at + 13]}.${bytes[at + 14]}.${bytes[at + 15]}`;
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[at + 2 * i]! << 8) | bytes[at + 2 * i + 1]!);
  const zeros = longestZeroRun(groups);
  const hex = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  if (zeros.length < 2) return hex(0, 8);
  return `${hex(0, zeros.start)}::${hex(zeros.start + zeros.length, 8)}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (end < groups.length && groups[end] === 0) end++;
    if (end - start > best.length) best = { start, length: end - start };
  }
  return best;
}

/** The address that a text names, without zone or prefix length; undefined if it names none. */
export function parseAddress(text: string): Uint8Array | undefined {
  return text.includes(':') ? parseV6(text) : parseV4(text);
}

function parseV4(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  if (!parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) return undefined;
  const [a, b, c, d] = parts.map(Number);
  return mapped(a!, b!, c!, d!);
}

function parseV6(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0]!);
  const tail = halves.length === 2 ? parseGroups(halves[1]!) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 16 - head.length - tail.length;
  if (halves.length === 2 ? missing < 2 : missing !== 0) return undefined;
  const bytes = new Uint8Array(ADDRESS_BYTES);
  bytes.set(head);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

/** The bytes of `a:b:c` or `a:b:1.2.3.4`; undefined where it is neither. */
function parseGroups(text: string): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [i, group] of groups.entries()) {
    if (group.includes('.') && i === groups.length - 1) {
      const v4 = parseV4(group);
      if (v4 === undefined) return undefined;
      bytes.push(...v4.subarray(12));
    } else {
      if (!/^[0-9a-f]{1,4}$/i.test(group)) return undefined;
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    }
  }
  return bytes;
}

/** A range of addresses: the first `bits` of `bytes` (an IPv4 range counts its 96 bits of mapping). */
export interface Range {
  readonly bytes: Uint8Array;
  readonly bits: number;
}

/** The range that `10.0.0.0/8`, `fc00::/7` or a single address names; undefined if it names none. */
export function parseRange(text: string): Range | undefined {
  const [address = '', length, ...rest] = text.split('/');
  const bytes = parseAddress(address);
  if (bytes === undefined || rest.length > 0) return undefined;
  const width = isV4(bytes) && !address.includes(':') ? 32 : 128;
  if (length === undefined) return { bytes, bits: 128 };
  if (!/^\d{1,3}$/.test(length) || Number(length) > width) return undefined;
  return { bytes, bits: 128 - width + Number(length) };
}

/** Whether the range holds the address. */
export function inRange(range: Range, bytes: Uint8Array, at = 0): boolean {
  const whole = range.bits >> 3;
  for (let i = 0; i < whole; i++) if (bytes[at + i] !== range.bytes[i]) return false;
  const rest = range.bits & 7;
  if (rest === 0) return true;
  const shift = 8 - rest;
  return bytes[at + whole]! >> shift === range.bytes[whole]! >> shift;
}

/**
 * Ranges that are never public: RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291; loopback, multicast, "this host"; and two that are
 * not routed on the internet and used inside of networks: RFC 2544 (benchmarks) and RFC 1112, 4 (reserved).
 */
const NOT_PUBLIC: readonly Range[] = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '169.254.0.0/16',
  '127.0.0.0/8',
  '0.0.0.0/8',
  '198.18.0.0/15',
  '224.0.0.0/4',
  '240.0.0.0/4',
  'fc00::/7',
  'fe80::/10',
  'ff00::/8',
  '::/127',
].map((text) => parseRange(text) ?? bug(text));

/** The same by their first byte (of IPv4 the first behind the mapping): most public addresses meet none. */
const [NOT_PUBLIC_V4, NOT_PUBLIC_V6] = [true, false].map((v4) =>
  Array.from({ length: 256 }, (_, first) =>
    NOT_PUBLIC.filter((range) => {
      if (isV4(range.bytes) !== v4) return false;
      const [at, bits] = v4 ? [12, range.bits - 96] : [0, range.bits];
      const shift = Math.max(8 - bits, 0);
      return range.bytes[at]! >> shift === first >> shift;
    }),
  ),
) as [Range[][], Range[][]];

function bug(text: string): never {
  throw new Bug(`not a range: ${text}`);
}

/** Whether the address is one of the public internet: not private, shared, link-local, loopback or multicast. */
export function isPublic(bytes: Uint8Array, at = 0): boolean {
  const ranges = isV4(bytes, at) ? NOT_PUBLIC_V4[bytes[at + 12]!]! : NOT_PUBLIC_V6[bytes[at]!]!;
  for (const range of ranges) if (inRange(range, bytes, at)) return false;
  return true;
}

/** Whether the address is of `169.254.0.0/16` (RFC 3927): no router passes it on, so a packet from it comes from this machine or its link. */
export function isLinkLocalV4(bytes: Uint8Array, at = 0): boolean {
  return isV4(bytes, at) && bytes[at + 12] === 169 && bytes[at + 13] === 254;
}

/** Whether the address is the machine's own loopback: `127.0.0.0/8` or `::1`. */
export function isLoopback(bytes: Uint8Array, at = 0): boolean {
  if (isV4(bytes, at)) return bytes[at + 12] === 127;
  for (let i = 0; i < 15; i++) if (bytes[at + i] !== 0) return false;
  return bytes[at + 15] === 1;
}

/** Addresses that no host has for itself: RFC 1122, 3.2.1.3; RFC 3927; RFC 4291, 2.4; RFC 5771. */
const OF_NO_HOST: readonly Range[] = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '255.255.255.255/32',
  '::/127',
  'fe80::/10',
  'ff00::/8',
].map((text) => parseRange(text) ?? bug(text));

/** Whether one host alone may have the address: not an unspecified one, nor loopback, link-local, multicast or broadcast. */
export function isHostAddress(bytes: Uint8Array): boolean {
  return !OF_NO_HOST.some((range) => inRange(range, bytes));
}

/** The one key of an address, for a Map: a short string, one UTF-16 unit a byte pair. `addressOfKey` is its inverse. */
export function addressKey(bytes: Uint8Array, at = 0): string {
  // One call instead of a loop: twice as fast, and every address of a batch comes through here.
  return String.fromCharCode(
    (bytes[at]! << 8) | bytes[at + 1]!,
    (bytes[at + 2]! << 8) | bytes[at + 3]!,
    (bytes[at + 4]! << 8) | bytes[at + 5]!,
    (bytes[at + 6]! << 8) | bytes[at + 7]!,
    (bytes[at + 8]! << 8) | bytes[at + 9]!,
    (bytes[at + 10]! << 8) | bytes[at + 11]!,
    (bytes[at + 12]! << 8) | bytes[at + 13]!,
    (bytes[at + 14]! << 8) | bytes[at + 15]!,
  );
}

/** The address that `addressKey` made a key of, 16 bytes. */
export function addressOfKey(key: string): Uint8Array {
  const bytes = new Uint8Array(ADDRESS_BYTES);
  for (let i = 0; i < ADDRESS_BYTES / 2; i++) {
    const pair = key.charCodeAt(i);
    bytes[2 * i] = pair >> 8;
    bytes[2 * i + 1] = pair & 0xff;
  }
  return bytes;
}
