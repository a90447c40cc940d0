import { randomInt } from 'node:crypto';
import { seededRandom } from '@egressd/world/traffic/random';
import { describe, expect, test } from '@jest/globals';
import { readFound } from './found.ts';
import { type CodeThatRan, Fuzzer, type Ran } from './fuzzer.ts';
import type { Target } from './target.ts';
import { TARGETS } from './targets.ts';

/** Batches a decoder: a moment. `npm run fuzz` takes its time, and looks at which code ran. */
const BATCHES = 10;
const NO_COVERAGE: CodeThatRan = { take: () => new Set<string>(), learn: () => [] };

describe.each(TARGETS.map((target) => [target.name, target] as const))('%s', (name, target) => {
  for (const [file, input] of readFound(name))
    test(`what was found once: ${file}`, async () => {
      await target.run(input);
    });

  test('some inputs', async () => {
    const seed = randomInt(2 ** 32);
    const fuzzer = new Fuzzer({ target, random: seededRandom(seed), coverage: NO_COVERAGE, now: () => 0 });
    const findings = [await fuzzer.begin()];
    for (let i = 0; i < BATCHES; i++) findings.push(await fuzzer.step());
    expect({ seed, findings: findings.filter((finding) => finding !== undefined) }).toEqual({ seed, findings: [] });
    expect(fuzzer.runs).toBeGreaterThan(BATCHES);
  });
});

/** Says "deep" only to bytes that can be found one after the other, if those that came further are kept. */
function lock(ran: (block: string) => void): Target {
  return {
    name: 'lock',
    about: 'a lock',
    seeds: () => [new Uint8Array(8)],
    run(input) {
      const key = [0xca, 0xfe, 0x10];
      for (const [i, byte] of key.entries()) {
        if (input[i] !== byte) return;
        ran(`byte ${i}`);
      }
      throw new Error('open');
    },
  };
}

test('inputs that run new code are kept and lead further', async () => {
  let ran = new Set<string>();
  const known = new Set<string>();
  const coverage = {
    take: () => {
      const taken = ran;
      ran = new Set();
      return taken;
    },
    learn: (taken: Ran) => {
      const blocks = [0, 1, 2].map((i) => `byte ${i}`).filter((block) => taken.has(block) && !known.has(block));
      for (const block of blocks) known.add(block);
      return blocks;
    },
  };
  const fuzzer = new Fuzzer({
    target: lock((block) => ran.add(block)),
    random: seededRandom(1),
    coverage,
    now: () => 0,
  });
  let finding = await fuzzer.begin();
  for (let i = 0; i < 50_000 && finding === undefined; i++) finding = await fuzzer.step();
  expect(finding?.message).toMatch('open');
  expect([...finding!.input.subarray(0, 3)]).toEqual([0xca, 0xfe, 0x10]);
});
