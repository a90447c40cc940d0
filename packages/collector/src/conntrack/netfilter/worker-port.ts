/** What every thread that reads a source needs to talk to the main thread. It loads as little as it can, see `worker.ts`. */

import { parentPort } from 'node:worker_threads';
import { Bug } from '@egressd/flow/bug';
import { STRIDE } from '../record.ts';
import { SourceError, type SourceErrorCode } from '../source-error.ts';
import type { Blocks } from './dump.ts';
import type { FromWorker } from './worker-messages.ts';

/** Records in a block: 512 KiB. */
export const BLOCK_RECORDS = 4096;
/** Blocks that exist: one is filled while others are on their way. A slow reader makes the reading pause. */
export const BLOCKS = 4;

export const port = parentPort ?? notAWorker();

function notAWorker(): never {
  throw new Bug('the worker was not started as one');
}

export function say(message: FromWorker): void {
  port.postMessage(message);
}

export function reason(error: unknown): { code: SourceErrorCode; message: string } {
  const code = error instanceof SourceError ? error.code : 'system';
  return { code, message: error instanceof Error ? error.message : String(error) };
}

/** Blocks of which some are on their way to the main thread. */
export type Circulation = Blocks & {
  /** Takes one back. @returns false where it is none of these */
  recycle(block: number): boolean;
};

/**
 * Blocks that go to the main thread and come back, by number: `take` waits for the first that returns. Their memory is shared and
 * never moves.
 * @param all of the worker; those from `first` to `end` are circulated here
 */
export function circulate(
  kind: 'block' | 'ended',
  all: readonly Uint32Array[],
  first: number,
  end: number,
): Circulation {
  const free = [...all.keys()].slice(first, end);
  let waiting: ((block: number) => void) | undefined;
  return {
    all,
    take() {
      const block = free.pop();
      if (block !== undefined) return block;
      return new Promise((resolve) => {
        waiting = resolve;
      });
    },
    give: (block, count) => say({ kind, block, count }),
    recycle(block) {
      if (block < first || block >= end) return false;
      if (waiting === undefined) free.push(block);
      else waiting(block);
      waiting = undefined;
      return true;
    },
  };
}

/** Memory that both threads see. */
export function newBlocks(count: number, records: number): Uint32Array[] {
  const bytes = records * STRIDE * Uint32Array.BYTES_PER_ELEMENT;
  return Array.from({ length: count }, () => new Uint32Array(new SharedArrayBuffer(bytes)));
}
