import { KubeFailure } from './failure.ts';

/** A longer line is no object: etcd takes none above 1.5 MiB. */
const MAX_LINE_BYTES = 8 * 1024 * 1024;

/** Lines of a stream. What follows the last line end is part of a line of a stream that broke: it is dropped. @throws KubeFailure */
export async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<string, void> {
  let partial: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, from)) {
      partial.push(chunk.subarray(from, end));
      const line = partial.length === 1 ? partial[0]! : Buffer.concat(partial);
      partial = [];
      bytes = 0;
      from = end + 1;
      if (line.length > 0) yield line.toString('utf8');
    }
    if (from === chunk.length) continue;
    partial.push(chunk.subarray(from));
    bytes += chunk.length - from;
    if (bytes > MAX_LINE_BYTES)
      throw new KubeFailure('unexpected', `a line of a watch is longer than ${MAX_LINE_BYTES} bytes`);
  }
}
