import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { FrozenRequest } from '../sink.ts';
import { RotatingFile } from './rotating-file.ts';
import { createFileSink } from './sink.ts';

const LIVE = new AbortController().signal;

let folder: string;
let path: string;
const opened: RotatingFile[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'egressd-file-'));
  path = join(folder, 'flows.jsonl');
});

afterEach(async () => {
  for (const file of opened.splice(0)) await file.close();
  rmSync(folder, { recursive: true });
});

function rotating(maxBytes: number, maxFiles: number): RotatingFile {
  const file = new RotatingFile(path, maxBytes, maxFiles);
  opened.push(file);
  return file;
}

/** The files of the folder by name, each with its text. */
function files(): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder).map((name) => [name.replace('flows.jsonl', 'F'), readFileSync(join(folder, name), 'utf8')]),
  );
}

async function appendAll(file: RotatingFile, ...texts: string[]): Promise<void> {
  for (const text of texts) await file.append(Buffer.from(text));
}

describe('RotatingFile', () => {
  test.each<[number, number, Record<string, string>]>([
    [100, 5, { F: 'a\nb\nc\nd\ne\n' }],
    [4, 5, { F: 'e\n', 'F.1': 'c\nd\n', 'F.2': 'a\nb\n' }],
    [2, 3, { F: 'e\n', 'F.1': 'd\n', 'F.2': 'c\n' }],
    [2, 1, { F: 'e\n' }],
    // What is larger than a whole file gets one of its own.
    [1, 2, { F: 'e\n', 'F.1': 'd\n' }],
  ])('at most %i bytes, %i files', async (maxBytes, maxFiles, expected) => {
    await appendAll(rotating(maxBytes, maxFiles), 'a\n', 'b\n', 'c\n', 'd\n', 'e\n');
    expect(files()).toEqual(expected);
  });

  test('goes on where an earlier process stopped, and ends a torn line', async () => {
    writeFileSync(path, 'whole\nbro');
    await appendAll(rotating(12, 3), 'a\n');
    expect(files()).toEqual({ F: 'whole\nbro\na\n' });
    await appendAll(rotating(12, 3), 'b\n');
    expect(files()).toEqual({ F: 'b\n', 'F.1': 'whole\nbro\na\n' });
  });

  test('a file that was moved or removed is not written again', async () => {
    const file = rotating(100, 3);
    await appendAll(file, 'a\n');
    renameSync(path, `${path}.moved`);
    await appendAll(file, 'b\n');
    rmSync(path);
    await appendAll(file, 'c\n');
    expect(files()).toEqual({ F: 'c\n', 'F.moved': 'a\n' });
  });

  test('lines of another program in the file stay', async () => {
    const file = rotating(100, 3);
    await appendAll(file, 'a\n');
    appendFileSync(path, 'theirs\n');
    await appendAll(file, 'b\n');
    expect(files()).toEqual({ F: 'a\ntheirs\nb\n' });
  });

  test('only the owner and the group read it', async () => {
    await appendAll(rotating(100, 3), 'a\n');
    expect(statSync(path).mode & 0o007).toBe(0);
  });

  test.each([
    ['appendFile', 1],
    ['datasync', 1],
    // Cutting off what it left fails too, and is done before the next lines.
    ['datasync', 2],
  ] as const)('%s fails: nothing of it stays in the file', async (call, failures) => {
    const file = rotating(100, 3);
    await appendAll(file, 'a\n');
    const calls = await breakCalls(call === 'datasync' && failures === 2 ? ['datasync', 'truncate'] : [call]);
    await expect(file.append(Buffer.from('lost\n'))).rejects.toThrow('broken');
    calls.mend();
    await appendAll(file, 'b\n');
    expect(files()).toEqual({ F: 'a\nb\n' });
  });

  test('rotation that fails half-way goes on where it stopped', async () => {
    const file = rotating(2, 4);
    await appendAll(file, 'a\n', 'b\n');
    // A folder with something in it cannot be replaced by a file.
    mkdirSync(join(folder, 'flows.jsonl.2', 'full'), { recursive: true });
    mkdirSync(join(folder, 'flows.jsonl.3', 'full'), { recursive: true });
    for (let attempt = 0; attempt < 3; attempt++) await expect(file.append(Buffer.from('c\n'))).rejects.toThrow();
    rmSync(join(folder, 'flows.jsonl.2'), { recursive: true });
    rmSync(join(folder, 'flows.jsonl.3'), { recursive: true });
    await appendAll(file, 'c\n', 'd\n');
    expect(files()).toEqual({ F: 'd\n', 'F.1': 'c\n', 'F.2': 'b\n', 'F.3': 'a\n' });
  });
});

/** Makes calls of all file handles fail. */
async function breakCalls(names: readonly ('appendFile' | 'datasync' | 'truncate')[]): Promise<{ mend(): void }> {
  const probe = await open(join(folder, '..'), 'r');
  const prototype = Object.getPrototypeOf(probe);
  await probe.close();
  const whole = names.map((name) => [name, prototype[name]] as const);
  for (const [name, original] of whole)
    prototype[name] = async function broken(this: unknown, ...args: unknown[]) {
      if (name === 'datasync') await original.apply(this, args);
      if (name === 'appendFile') await original.call(this, Buffer.from('half a li'));
      throw new Error('broken');
    };
  return {
    mend() {
      for (const [name, original] of whole) prototype[name] = original;
    },
  };
}

describe('the sink', () => {
  const request: FrozenRequest = { body: Buffer.from('line\n'), key: 'k', end: 4, samples: 1 };
  const sinkAt = (at: string) => createFileSink('log', { path: at, maxSizeMB: 1, maxFiles: 2, maxSeries: 10 });

  test.each<[string, () => string, string, string]>([
    ['a folder that is not there', () => join(folder, 'no', 'file'), 'ENOENT', 'its folder does not exist'],
    ['a folder', () => folder, 'EISDIR', 'it is a folder'],
    ['a device', () => '/dev/null', 'ENOTFILE', 'use the stdout sink'],
  ])('%s: retryable, with advice', async (_name, at, status, advice) => {
    const sink = sinkAt(at());
    const result = await sink.send(request, LIVE);
    expect(result).toMatchObject({ outcome: 'retryable', status, maybeStored: false });
    expect('message' in result && result.message).toContain(`${at()}: cannot be written (${status}): `);
    expect('message' in result && result.message).toContain(advice);
    await sink.close();
  });

  test('once it can be written, it is', async () => {
    const sink = sinkAt(join(folder, 'later', 'flows.jsonl'));
    expect(await sink.send(request, LIVE)).toMatchObject({ outcome: 'retryable' });
    mkdirSync(join(folder, 'later'));
    expect(await sink.send(request, LIVE)).toEqual({ outcome: 'ok', status: 'written' });
    expect(readFileSync(join(folder, 'later', 'flows.jsonl'), 'utf8')).toBe('line\n');
    await sink.close();
  });
});
