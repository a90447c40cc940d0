import { MAX_EPOCHS_PER_NODE, type NodeImage } from '../batch-offsets.ts';
import { Malformed, type Reader, type Writer } from './columns.ts';
import { MAX_TIME_MS } from './constants.ts';

const MAX_NUMBER = Number.MAX_SAFE_INTEGER;

/** Writes the batch offsets of all nodes, for the current epoch and earlier ones. */
export function writeEpochs(into: Writer, nodes: readonly NodeImage[]): void {
  const epochs = nodes.flatMap((node) => node.epochs);
  into.texts(nodes.map(({ node }) => node));
  into.column(Float64Array.from(nodes, ({ seenMs }) => seenMs));
  into.column(Uint8Array.from(nodes, (node) => node.epochs.length));
  into.texts(epochs.map(({ epoch }) => epoch));
  into.column(Float64Array.from(epochs, ({ applied }) => applied));
  into.column(Float64Array.from(epochs, ({ committed }) => committed));
}

/** Reads what `writeEpochs` wrote. @throws Malformed */
export function readEpochs(from: Reader): NodeImage[] {
  const nodes = from.texts();
  const seen = from.column(nodes.length, MAX_TIME_MS);
  const counts = from.column(nodes.length, MAX_EPOCHS_PER_NODE);
  const names = from.texts();
  const applied = from.column(names.length, MAX_NUMBER);
  const committed = from.column(names.length, MAX_NUMBER);
  const epochs = names.map((epoch, at) => ({ epoch, applied: applied[at]!, committed: committed[at]! }));
  let begin = 0;
  return nodes.map((node, at) => {
    const end = begin + counts[at]!;
    const image = { node, seenMs: seen[at]!, epochs: epochs.slice(begin, end) };
    begin = end;
    if (image.epochs.length === 0) throw new Malformed('a node without an epoch');
    return image;
  });
}
