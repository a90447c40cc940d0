import { expect, test } from '@jest/globals';
import { linesOf } from './lines.ts';

async function* chunks(...texts: readonly (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text);
}

async function read(...texts: readonly (string | Buffer)[]): Promise<(string | undefined)[]> {
  const lines: (string | undefined)[] = [];
  for await (const line of linesOf(chunks(...texts))) lines.push(line);
  return lines;
}

test('lines, however they are cut; a rest without an end is dropped', async () => {
  expect(await read('a\nb', 'c\n\n', 'd\ne')).toEqual(['a', 'bc', 'd']);
});

test('one that is too long is read past', async () => {
  const mebibytes = Array.from({ length: 9 }, () => Buffer.alloc(1024 * 1024, 0x61));
  expect(await read('a\n', ...mebibytes, 'end\nb\n')).toEqual(['a', undefined, 'b']);
  expect(await read(Buffer.concat([...mebibytes, Buffer.from('\nb\n')]))).toEqual([undefined, 'b']);
});
