import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { ROOT } from './storage.ts';

const SETUP = 'packages/tools/setup';
const SOURCE = 'packages/collector/src/conntrack/ebpf';
const OBJECT = 'packages/collector/bpf/count.bpf.o';

test('BPF programs compile to the same bytes in any folder, and name none', () => {
  const folders = ['a', 'another-one'].map((name) => mkdtempSync(join(tmpdir(), `egressd-bpf-${name}-`)));
  try {
    const [one, other] = folders.map((folder) => {
      for (const part of [SETUP, SOURCE]) cpSync(join(ROOT, part), join(folder, part), { recursive: true });
      execFileSync(process.execPath, [join(folder, SETUP, 'build-bpf.mjs')]);
      return readFileSync(join(folder, OBJECT));
    });
    expect(one!.equals(other!)).toBe(true);
    expect(one!.includes(tmpdir())).toBe(false);
    // What the other tests of this run were made with.
    expect(one!.equals(readFileSync(join(ROOT, OBJECT)))).toBe(true);
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  }
});
