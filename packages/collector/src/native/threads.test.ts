import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

const LIBRARY = JSON.stringify(new URL('./library.ts', import.meta.url).href);
const THREADS = JSON.stringify(new URL('./threads.ts', import.meta.url).href);

/** Threads that call functions of libc for the first time, all in the same moment, each in another order. */
const FIRST_CALLS = `
  const { isMainThread, Worker, workerData } = await import('node:worker_threads');
  const { native, openLibc } = await import(${LIBRARY});
  const { takeThread } = await import(${THREADS});
  const NAMES = ['getpid', 'getppid', 'getuid', 'geteuid', 'getgid', 'getegid', 'gettid', 'sched_yield', 'getpgrp', 'getpagesize'];
  if (isMainThread) {
    const ready = new Int32Array(new SharedArrayBuffer(4));
    for (let i = 0; i < 3; i++) {
      const release = takeThread();
      const worker = new Worker(process.argv[1], { eval: true, workerData: { ready, first: i * 3 }, argv: [process.argv[1]] });
      worker.on('exit', release);
    }
  } else {
    openLibc();
    const { ready, first } = workerData;
    const functions = NAMES.map((_, i) => native('libc', NAMES[(first + i) % NAMES.length], 1, []));
    Atomics.add(ready, 0, 1);
    while (Atomics.load(ready, 0) < 3);
    for (const call of functions) call();
    process.stdout.write('done ');
  }
`;

test('threads that call libraries for the first time at the same moment do not meet', async () => {
  const flags = ['--conditions=source', '--disable-warning=ExperimentalWarning', '--input-type=module'];
  for (let i = 0; i < 10; i++) {
    const program = `process.argv[1] = ${JSON.stringify(FIRST_CALLS)};${FIRST_CALLS}`;
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, '-e', program], { timeout: 60_000 });
    expect(stdout).toBe('done done done ');
  }
  // Thirty threads, one after another: a machine that is busy takes long.
}, 300_000);
