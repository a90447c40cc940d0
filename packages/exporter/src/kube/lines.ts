/** Longest watch event. A longer one is skipped: see `MAX_ITEM_BYTES`. */
const MAX_LINE_BYTES = 8 * 1024 * 1024;

/**
 * Lines of a stream; undefined for one that is too long, which is read past. What follows the last line end is part of a line of a stream
 * that broke: it is dropped.
 */
export async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<string | undefined, void> {
  let partial: Buffer[] = [];
  let bytes = 0;
  let tooLong = false;
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, from)) {
      partial.push(chunk.subarray(from, end));
      const line = partial.length === 1 ? partial[0]! : Buffer.concat(partial);
      const isTooLong = tooLong || line.length > MAX_LINE_BYTES;
      [partial, bytes, tooLong, from] = [[], 0, false, end + 1];
      if (isTooLong) yield undefined;
      else if (line.length > 0) yield line.toString('utf8');
    }
    if (from === chunk.length || tooLong) continue;
    partial.push(chunk.subarray(from));
    bytes += chunk.length - from;
    tooLong = bytes > MAX_LINE_BYTES;
    if (tooLong) partial = [];
  }
}
