import { KubeFailure } from './failure.ts';

/** A longer line is no object: etcd takes none above 1.5 MiB. */
export const MAX_LINE_BYTES = 8 * 1024 * 1024;

/** Lines of a stream. What stands after the last line end is half a line of a stream that broke off: it is dropped. */
export async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<string, void> {
  let begun: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, from)) {
      begun.push(chunk.subarray(from, end));
      const line = begun.length === 1 ? begun[0]! : Buffer.concat(begun);
      begun = [];
      bytes = 0;
      from = end + 1;
      if (line.length > 0) yield line.toString('utf8');
    }
    if (from === chunk.length) continue;
    begun.push(chunk.subarray(from));
    bytes += chunk.length - from;
    if (bytes > MAX_LINE_BYTES)
      throw new KubeFailure('unexpected', `a line of a watch is longer than ${MAX_LINE_BYTES} bytes`);
  }
}
