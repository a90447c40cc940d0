import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { checkOwnFolder, createOwnFile, openOwnFile } from './own-file.ts';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'egressd-own-'));
  writeFileSync(join(folder, 'other'), 'other');
});

afterEach(() => rmSync(folder, { recursive: true }));

const at = (name: string) => join(folder, name);

test('a regular file of our own is opened', async () => {
  const file = await openOwnFile(at('other'), 'change');
  expect(await file.readFile('utf8')).toBe('other');
  await file.close();
});

test.each<[string, (path: string) => void]>([
  ['symbolic link', (path) => symlinkSync('other', path)],
  ['FIFO', (path) => execFileSync('mkfifo', [path])],
  ['folder', (path) => mkdirSync(path)],
  ['device', () => {}],
])('a %s is refused, and not waited for', async (kind, make) => {
  const path = kind === 'device' ? '/dev/null' : at('x');
  make(path);
  await expect(openOwnFile(path, 'read')).rejects.toThrow(`${path} is a ${kind}, not a file: egressd did not make it`);
});

test('a folder that is a link is refused', async () => {
  symlinkSync('.', at('x'));
  await expect(checkOwnFolder(at('x'))).rejects.toThrow('is a symbolic link, not a folder');
  await checkOwnFolder(folder);
});

test("another user's is refused", async () => {
  // Without the right to give files away there is none here to be found.
  const path = process.geteuid?.() === 0 ? at('other') : '/etc/passwd';
  if (path === at('other')) chownSync(path, 12_345, 12_345);
  await expect(openOwnFile(path, 'read')).rejects.toThrow(/belongs to user \d+, not to \d+/);
});

test('a new file takes the place of a link, not of what it leads to', async () => {
  symlinkSync('other', at('x'));
  const file = await createOwnFile(at('x'), 0o600);
  await file.writeFile('new');
  await file.close();
  expect([readFileSync(at('x'), 'utf8'), readFileSync(at('other'), 'utf8')]).toEqual(['new', 'other']);
});

test('what is not there is an error of the file system', async () => {
  await expect(openOwnFile(at('x'), 'read')).rejects.toThrow('ENOENT');
});
