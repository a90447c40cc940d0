import { memberNames } from '@egressd/collector/conntrack/cilium/btf';
import { clockAt } from '@egressd/collector/conntrack/cilium/clock';
import { decodeEntries, newBlock, startTally, viewEntries } from '@egressd/collector/conntrack/cilium/decode';
import { Endpoints } from '@egressd/collector/conntrack/cilium/endpoints';
import { KEY_BYTES_V4, KEY_BYTES_V6, VALUE_BYTES } from '@egressd/collector/conntrack/cilium/layout';
import { directedBytes, summedBytes, tupleBytes } from '@egressd/world/cilium/entries';
import { must, type Target } from '../target.ts';

const CLOCK = clockAt('jiffies', { seconds: 1000, tickRate: 250 });
const NO_ENDPOINTS = new Endpoints(1);

/** Entries of Cilium's maps: a byte for the family, then keys and values by turns. */
export const CILIUM_ENTRIES: Target = {
  name: 'cilium-entries',
  about: "entries of Cilium's maps",
  seeds() {
    const counters = { rxPackets: 3, rxBytes: 3000, txPackets: 2, txBytes: 200, lifetime: 16_777_000 };
    const ends = { sourcePort: 40_000, destinationPort: 443, protocol: 6 };
    const four = { ...ends, source: '10.1.0.1', destination: '203.0.113.7' };
    const six = { ...ends, source: 'fd00::1', destination: '2001:db8::7', flags: 1 };
    const values = [directedBytes(counters), summedBytes({ packets: 9, bytes: 9000, lifetime: 1 })];
    return values.flatMap((value) => [
      ...[0, 1, 2, 4].map((flags) => Buffer.concat([Buffer.of(4), tupleBytes({ ...four, flags }), value])),
      Buffer.concat([Buffer.of(6), tupleBytes(six), value]),
    ]);
  },
  run(input) {
    const family = input[0] === 6 ? 6 : 4;
    const keyBytes = family === 4 ? KEY_BYTES_V4 : KEY_BYTES_V6;
    const count = Math.floor((input.length - 1) / (keyBytes + VALUE_BYTES));
    if (count < 1) return;
    const piece = (entry: number, from: number, length: number) =>
      input.subarray(1 + entry * (keyBytes + VALUE_BYTES) + from).subarray(0, length);
    const each = Array.from({ length: count }, (_, i) => i);
    const keys = Uint8Array.from(Buffer.concat(each.map((i) => piece(i, 0, keyBytes))));
    const values = Uint8Array.from(Buffer.concat(each.map((i) => piece(i, keyBytes, VALUE_BYTES))));
    const tally = startTally();
    const block = newBlock(family, count);
    const reading = { endpoints: NO_ENDPOINTS, clock: CLOCK, tally };
    const got = decodeEntries(viewEntries(family, keys, values), 0, count, 0, block, reading);
    const skipped = tally.service + tally.related + tally.counted_at_source + tally.no_counters + tally.undecodable;
    must(
      got.next === count && got.count + skipped === count,
      `${got.count} records and ${skipped} skipped of ${count}`,
    );
  },
};

/** A description of types, of which the kernel hands out what a process loaded. */
export const BTF: Target = {
  name: 'btf',
  about: 'a description of types (BTF)',
  seeds() {
    const strings = Buffer.from('\0u64\0ct_entry\0rx_packets\0tx_packets\0');
    const int = [1, 1 << 24, 8, 64];
    const struct = [5, (4 << 24) | 2, 16, 14, 1, 0, 25, 1, 64];
    const types = Buffer.from(Uint32Array.from([...int, ...struct]).buffer);
    const header = Buffer.alloc(24);
    header.writeUInt16LE(0xeb9f, 0);
    header.writeUInt8(1, 2);
    for (const [i, word] of [24, 0, types.length, types.length, strings.length].entries())
      header.writeUInt32LE(word, 4 + 4 * i);
    return [Buffer.concat([header, types, strings])];
  },
  run(input) {
    for (const type of [1, 2, 3]) memberNames(input, type);
  },
};
