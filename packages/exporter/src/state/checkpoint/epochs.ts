import { MAX_EPOCHS_PER_NODE, type NodeImage } from '../batch-offsets.ts';
import { Malformed, type Reader, type Writer } from './columns.ts';

const MAX_NUMBER = Number.MAX_SAFE_INTEGER;
const MAX_TIME_MS = 253_402_300_800_000;

/** Where the batches of all nodes stand, those of epochs before too. */
export function writeEpochs(into: Writer, nodes: readonly NodeImage[]): void {
  const sequences = nodes.flatMap((node) => node.sequences);
  into.texts(nodes.map(({ node }) => node));
  into.column(Float64Array.from(nodes, ({ seenMs }) => seenMs));
  into.column(Uint8Array.from(nodes, (node) => node.sequences.length));
  into.texts(sequences.map(({ epoch }) => epoch));
  into.column(Float64Array.from(sequences, ({ applied }) => applied));
  into.column(Float64Array.from(sequences, ({ committed }) => committed));
}

/** @throws Malformed */
export function readEpochs(from: Reader): NodeImage[] {
  const names = from.texts();
  const seen = from.column(names.length, MAX_TIME_MS);
  const lengths = from.column(names.length, MAX_EPOCHS_PER_NODE);
  const epochs = from.texts();
  const applied = from.column(epochs.length, MAX_NUMBER);
  const committed = from.column(epochs.length, MAX_NUMBER);
  const sequences = epochs.map((epoch, at) => ({
    epoch,
    applied: applied[at]!,
    committed: committed[at]!,
  }));
  let begin = 0;
  return names.map((node, at) => {
    const end = begin + lengths[at]!;
    const image = { node, seenMs: seen[at]!, sequences: sequences.slice(begin, end) };
    begin = end;
    if (image.sequences.length === 0) throw new Malformed('a node without an epoch');
    return image;
  });
}
