import { readFileSync } from 'node:fs';
import { decodeDatagram, startDump } from '@egressd/collector/conntrack/netfilter/decode';
import { STRIDE } from '@egressd/collector/conntrack/record';
import { must, mustEqual, type Target } from '../target.ts';

const CORPUS = new URL('../../../../collector/src/conntrack/netfilter/testdata/corpus.json', import.meta.url);

const RECORDS = 4;
/** What no decoder should read or overwrite. */
const FILLS = [0, 0xffff_ffff] as const;
/** `sizeof(struct nlmsghdr)`: a message is no shorter. */
const LEAST_MESSAGE = 16;

/** A datagram of a conntrack dump. */
export const NETLINK: Target = {
  name: 'netlink',
  about: 'a datagram of a conntrack dump',
  seeds() {
    const { recordings } = JSON.parse(readFileSync(CORPUS, 'utf8')) as { recordings: { datagrams: string[] }[] };
    return recordings.flatMap(({ datagrams }) => datagrams.map((hex) => new Uint8Array(Buffer.from(hex, 'hex'))));
  },
  // Every message claims to be an entry of the dump, as long as what there is: so the walk of attributes gets to see the rest.
  mend(input) {
    if (input.length < LEAST_MESSAGE) return input;
    const view = new DataView(input.buffer, input.byteOffset, input.length);
    view.setUint32(0, input.length, true);
    view.setUint16(4, 0x0100, true);
    return input;
  },
  run(input) {
    const [first, second] = FILLS.map((fill) => decodeAll(input, fill));
    // What lies behind the datagram must make no difference: no decoder may read it.
    mustEqual(first, second, 'bytes behind the datagram were read');
  },
};

/** Decodes to the end, with `fill` behind the datagram and behind the block. */
function decodeAll(input: Uint8Array, fill: number): unknown {
  const words = new Uint32Array((input.length >> 2) + 64).fill(fill);
  new Uint8Array(words.buffer).set(input);
  // The bytes that pad the last word are the datagram's: the kernel sends whole words.
  new Uint8Array(words.buffer).fill(0, input.length, (input.length + 3) & ~3);
  const memory = new Uint32Array((RECORDS + 1) * STRIDE).fill(fill);
  const block = memory.subarray(0, RECORDS * STRIDE);
  const dump = startDump();
  const records: number[][] = [];
  for (let rounds = 0; dump.at < input.length; rounds++) {
    must(rounds <= input.length / LEAST_MESSAGE, 'a datagram has fewer messages than rounds were needed');
    const at = dump.at;
    block.fill(0);
    decodeDatagram(dump, words, input.length, block);
    must(dump.at > at && dump.at <= input.length, `from byte ${at} it came to ${dump.at} of ${input.length}`);
    must(dump.count <= RECORDS, `${dump.count} records in a block of ${RECORDS}`);
    records.push([...block.subarray(0, dump.count * STRIDE)]);
    dump.count = 0;
  }
  must(
    memory.subarray(RECORDS * STRIDE).every((word) => word === fill),
    'it wrote behind the block',
  );
  const { shapes: _, ...state } = dump;
  return { records, state };
}
