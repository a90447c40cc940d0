import type { Random } from '@egressd/world/traffic/random';

/** Longer inputs find nothing that shorter ones do not, and take longer. */
export const MAX_INPUT_BYTES = 4096;

/** Numbers at which something often changes. */
const EDGES = [0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 254, 255, 256, 0x7fff, 0x8000, 0xffff];
const WIDE_EDGES = [...EDGES, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
const MAX_CHANGES = 4;
const MAX_PIECE = 64;

type Change = (input: Uint8Array, random: Random, others: Others) => Uint8Array;

/** What a change may take pieces from. */
export interface Others {
  readonly words: readonly Uint8Array[];
  readonly corpus: readonly Uint8Array[];
}

/** A few changes of an input. It stays as it is; the result is another array. */
export function mutate(input: Uint8Array, random: Random, others: Others): Uint8Array {
  let changed: Uint8Array = input.slice();
  for (let left = random.between(1, MAX_CHANGES); left > 0; left--)
    changed = random.pick(CHANGES)(changed, random, others);
  return changed.length > MAX_INPUT_BYTES ? changed.slice(0, MAX_INPUT_BYTES) : changed;
}

const CHANGES: readonly Change[] = [
  flipBit,
  setByte,
  setNumber,
  setNumber,
  addToNumber,
  cutOut,
  cutOff,
  repeatPiece,
  insertNoise,
  insertWord,
  insertWord,
  replaceByWord,
  splice,
];

function flipBit(input: Uint8Array, random: Random): Uint8Array {
  const at = somewhere(input, random);
  if (at < input.length) input[at] = input[at]! ^ (1 << random.between(0, 7));
  return input;
}

function setByte(input: Uint8Array, random: Random): Uint8Array {
  const at = somewhere(input, random);
  if (at < input.length) input[at] = random.between(0, 255);
  return input;
}

/** A 16- or 32-bit number becomes one at an edge, or the length of the input or near it. */
function setNumber(input: Uint8Array, random: Random): Uint8Array {
  const lengths = [input.length, input.length - 1, input.length + 1];
  return writeNumber(input, random, () => random.pick([...WIDE_EDGES, ...lengths]));
}

function addToNumber(input: Uint8Array, random: Random): Uint8Array {
  return writeNumber(input, random, (before) => before + random.between(-16, 16));
}

function writeNumber(input: Uint8Array, random: Random, change: (before: number) => number): Uint8Array {
  const view = new DataView(input.buffer, input.byteOffset, input.length);
  const size = random.pick([2, 4]);
  if (input.length < size) return input;
  const at = random.between(0, input.length - size);
  const little = random.pick([true, false]);
  if (size === 2) view.setUint16(at, change(view.getUint16(at, little)) & 0xffff, little);
  else view.setUint32(at, change(view.getUint32(at, little)) >>> 0, little);
  return input;
}

function cutOut(input: Uint8Array, random: Random): Uint8Array {
  const [from, to] = piece(input, random);
  return join(input.subarray(0, from), input.subarray(to));
}

function cutOff(input: Uint8Array, random: Random): Uint8Array {
  return input.slice(0, somewhere(input, random));
}

function repeatPiece(input: Uint8Array, random: Random): Uint8Array {
  const [from, to] = piece(input, random);
  return insert(input, somewhere(input, random), input.subarray(from, to));
}

function insertNoise(input: Uint8Array, random: Random): Uint8Array {
  const noise = Uint8Array.from({ length: random.between(1, 8) }, () => random.between(0, 255));
  return insert(input, somewhere(input, random), noise);
}

function insertWord(input: Uint8Array, random: Random, { words }: Others): Uint8Array {
  return words.length === 0 ? input : insert(input, somewhere(input, random), random.pick(words));
}

function replaceByWord(input: Uint8Array, random: Random, { words }: Others): Uint8Array {
  if (words.length === 0) return input;
  const word = random.pick(words);
  const at = somewhere(input, random);
  return join(input.subarray(0, at), word, input.subarray(at + word.length));
}

/** The beginning of one and the end of another. */
function splice(input: Uint8Array, random: Random, { corpus }: Others): Uint8Array {
  const other = random.pick(corpus);
  return join(input.subarray(0, somewhere(input, random)), other.subarray(somewhere(other, random)));
}

function somewhere(input: Uint8Array, random: Random): number {
  return random.between(0, input.length);
}

function piece(input: Uint8Array, random: Random): [from: number, to: number] {
  const from = somewhere(input, random);
  return [from, Math.min(input.length, from + random.between(1, MAX_PIECE))];
}

function insert(input: Uint8Array, at: number, what: Uint8Array): Uint8Array {
  return join(input.subarray(0, at), what, input.subarray(at));
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
