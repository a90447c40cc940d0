import { readFileSync } from 'node:fs';
import { createShapes, shapeOf } from '@egressd/collector/conntrack/netfilter/attributes';
import { compileDecoder } from '@egressd/collector/conntrack/netfilter/compile';
import { decodeByShape } from '@egressd/collector/conntrack/netfilter/entry';
import { STRIDE } from '@egressd/collector/conntrack/record';
import { Bug } from '@egressd/flow/bug';
import { nsPerItem } from './numbers.ts';

const CORPUS = new URL('../../../collector/src/conntrack/netfilter/testdata/corpus.json', import.meta.url);
const ENTRIES = 50_000;

/** Nanoseconds an entry. */
interface DecodingResult {
  readonly compiled: number;
  readonly stepByStep: number;
}

/** Decodes a recorded TCP entry over and over: by the decoder that is compiled for its kind, and by the one for every kind. */
export function benchDecoding(): DecodingResult {
  const { words, bytes } = recordedEntry('tcp-v4');
  const shapes = createShapes();
  const shape = shapeOf(shapes, words, 0, bytes);
  const decode = compileDecoder(shape);
  if (decode === undefined) throw new Bug('a TCP entry is not compiled');
  const block = new Uint32Array(STRIDE);
  return {
    compiled: nsPerItem(ENTRIES, () => {
      for (let i = 0; i < ENTRIES; i++) decode(words, 0, block, 0);
    }),
    stepByStep: nsPerItem(ENTRIES, () => {
      for (let i = 0; i < ENTRIES; i++) decodeByShape(shapeOf(shapes, words, 0, bytes), words, 0, block, 0);
    }),
  };
}

function recordedEntry(name: string): { words: Uint32Array; bytes: number } {
  const { recordings } = JSON.parse(readFileSync(CORPUS, 'utf8')) as {
    recordings: { name: string; datagrams: string[] }[];
  };
  const datagram = Buffer.from(recordings.find((one) => one.name === name)!.datagrams[0]!, 'hex');
  const bytes = datagram.readUInt32LE(0);
  const words = new Uint32Array(bytes >> 2);
  new Uint8Array(words.buffer).set(datagram.subarray(0, bytes));
  return { words, bytes };
}
