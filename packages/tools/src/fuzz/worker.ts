/** The thread that fuzzes one decoder: one that hangs or takes all memory ends with it, and nothing else does. */

import { parentPort, workerData } from 'node:worker_threads';
import { Bug } from '@egressd/flow/bug';
import { seededRandom } from '@egressd/world/traffic/random';
import { Coverage } from './coverage.ts';
import { Fuzzer } from './fuzzer.ts';
import type { FuzzResult, FuzzTask } from './messages.ts';
import { MAX_INPUT_BYTES } from './mutate.ts';
import { TARGETS } from './targets.ts';

const { target: name, seed, milliseconds, current } = workerData as FuzzTask;
const target = TARGETS.find((one) => one.name === name);
if (target === undefined) throw new Bug(`no decoder ${name}`);

const header = new Uint32Array(current, 0, 2);
const body = new Uint8Array(current, header.byteLength);
const before = (input: Uint8Array): void => {
  const length = Math.min(input.length, MAX_INPUT_BYTES);
  body.set(input.subarray(0, length));
  Atomics.store(header, 0, length);
  Atomics.add(header, 1, 1);
};

const coverage = new Coverage();
const fuzzer = new Fuzzer({ target, random: seededRandom(seed), coverage, before, now: () => performance.now() });

async function fuzz(): Promise<FuzzResult> {
  const end = performance.now() + milliseconds;
  let finding = await fuzzer.begin();
  while (finding === undefined && performance.now() < end) finding = await fuzzer.step();
  const { runs, blocks, corpus } = fuzzer;
  if (finding === undefined) return { kind: 'clean', runs, blocks, corpus: corpus.length };
  return { kind: 'found', runs, ...finding };
}

const result = await fuzz();
coverage.close();
parentPort!.postMessage(result);
