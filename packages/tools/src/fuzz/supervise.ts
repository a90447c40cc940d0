import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { FuzzResult, FuzzTask } from './messages.ts';
import { MAX_INPUT_BYTES } from './mutate.ts';

/** No input of a few kilobytes may take a decoder so long. */
const HANG_MS = 10_000;
/** Heap of the thread: no input may take more. */
const HEAP_MB = 512;
const LOOK_MS = 500;
const HEADER_BYTES = 8;

/** Fuzzes one decoder for a while, in a thread of its own. */
export async function fuzzOnce(target: string, seed: number, milliseconds: number): Promise<FuzzResult> {
  const current = new SharedArrayBuffer(HEADER_BYTES + MAX_INPUT_BYTES);
  const task: FuzzTask = { target, seed, milliseconds, current };
  const file = fileURLToPath(new URL('./worker.ts', import.meta.url));
  const worker = new Worker(file, { workerData: task, resourceLimits: { maxOldGenerationSizeMb: HEAP_MB } });
  const { promise, resolve } = Promise.withResolvers<FuzzResult>();
  const watch = watchForHang(current, () => resolve(broken(current, `it has not come back for ${HANG_MS / 1000} s`)));
  worker.on('message', (result: FuzzResult) => resolve(result));
  worker.on('error', (error: Error) => resolve(broken(current, `the thread ended: ${error.message}`)));
  const result = await promise;
  clearInterval(watch);
  await worker.terminate();
  return result;
}

function watchForHang(current: SharedArrayBuffer, hangs: () => void): NodeJS.Timeout {
  const header = new Uint32Array(current, 0, 2);
  let last = 0;
  let since = performance.now();
  return setInterval(() => {
    const runs = Atomics.load(header, 1);
    if (runs !== last) since = performance.now();
    last = runs;
    if (performance.now() - since >= HANG_MS) hangs();
  }, LOOK_MS);
}

function broken(current: SharedArrayBuffer, message: string): FuzzResult {
  const [length = 0, runs = 0] = new Uint32Array(current, 0, 2);
  return { kind: 'found', runs, input: new Uint8Array(current, HEADER_BYTES, length).slice(), message };
}
