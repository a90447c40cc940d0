import { gunzipSync } from 'node:zlib';
import { expect, test } from '@jest/globals';
import { initramfs } from './initramfs.ts';

const HEADER_LENGTH = 110;

/** Reads an archive as the kernel does: init/initramfs.c. */
function unpack(archive: Buffer): [path: string, mode: string, data: string][] {
  const entries: [string, string, string][] = [];
  let at = 0;
  const align = (to: number) => (to + 3) & ~3;
  for (;;) {
    const field = (i: number) => Number.parseInt(archive.toString('latin1', at + 6 + 8 * i, at + 14 + 8 * i), 16);
    expect(archive.toString('latin1', at, at + 6)).toBe('070701');
    const [mode, size, nameSize] = [field(1), field(6), field(11)];
    const path = archive.toString('utf8', at + HEADER_LENGTH, at + HEADER_LENGTH + nameSize - 1);
    const data = align(at + HEADER_LENGTH + nameSize);
    if (path === 'TRAILER!!!') return entries;
    entries.push([path, mode.toString(8), archive.toString('utf8', data, data + size)]);
    at = align(data + size);
  }
}

test('files come after the folders that they are in, each once, whatever their lengths', () => {
  const files = [
    { path: 'init', data: Buffer.from('#!/bin/sh') },
    { path: 'a/b/empty', data: Buffer.alloc(0) },
    { path: 'a/c', data: Buffer.from('1234') },
  ];
  expect(unpack(gunzipSync(initramfs(files)))).toEqual([
    ['a', '40755', ''],
    ['a/b', '40755', ''],
    ['init', '100755', '#!/bin/sh'],
    ['a/b/empty', '100755', ''],
    ['a/c', '100755', '1234'],
  ]);
});
