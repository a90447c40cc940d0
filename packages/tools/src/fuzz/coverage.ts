import { type Profiler, Session } from 'node:inspector';
import { Bug } from '@egressd/flow/bug';
import type { CodeThatRan, Ran } from './fuzzer.ts';

/** Only our own code counts, and not the lab's. */
const OURS = /\/packages\/(?:flow|daemon|collector|exporter)\//;

/**
 * Which code ran, from V8's precise block coverage of this thread. V8 reports a function as ranges within ranges: what lies in an
 * inner one is as the inner one says. So the text of a function is painted, outer ranges first, and compared character by character:
 *
 *   function   if (a) { b(); } else { c(); }
 *   ran        11111111111111100000000000011
 *   seen       11111111000000000000000000011     ──> new: what begins at the 9th character
 */
export class Coverage implements CodeThatRan {
  readonly #session = new Session();
  readonly #seen = new Map<string, Uint8Array>();

  constructor() {
    this.#session.connect();
    this.#post('Profiler.enable');
    // Only whether code ran, not how often: V8 reports less then.
    this.#post('Profiler.startPreciseCoverage', { callCount: false, detailed: true });
  }

  take(): Ran {
    const { result } = this.#post('Profiler.takePreciseCoverage') as Profiler.TakePreciseCoverageReturnType;
    const functions = new Map<string, Uint8Array>();
    for (const script of result.filter(({ url }) => OURS.test(url)))
      for (const { ranges } of script.functions) {
        const { startOffset, endOffset } = ranges[0]!;
        functions.set(`${script.url} ${startOffset} ${endOffset}`, paint(ranges));
      }
    return new Painted(functions);
  }

  learn(ran: Ran): string[] {
    const blocks: string[] = [];
    for (const [name, text] of (ran as Painted).functions) {
      const seen = this.#seen.get(name) ?? new Uint8Array(text.length);
      this.#seen.set(name, seen);
      let inNew = false;
      for (let i = 0; i < text.length; i++) {
        const isNew = text[i]! > seen[i]!;
        if (isNew && !inNew) blocks.push(`${name} ${i}`);
        inNew = isNew;
        seen[i] = seen[i]! | text[i]!;
      }
    }
    return blocks;
  }

  close(): void {
    this.#session.disconnect();
  }

  /** Within one thread the answer comes before the call returns. */
  #post(method: string, params?: object): unknown {
    let answer: { error: Error | null; result?: unknown } | undefined;
    this.#session.post(method, params, (error, result) => {
      answer = { error, result };
    });
    if (answer === undefined) throw new Bug(`the inspector did not answer ${method} at once`);
    if (answer.error !== null) throw answer.error;
    return answer.result;
  }
}

class Painted implements Ran {
  readonly functions: ReadonlyMap<string, Uint8Array>;

  constructor(functions: ReadonlyMap<string, Uint8Array>) {
    this.functions = functions;
  }

  has(block: string): boolean {
    const at = block.lastIndexOf(' ');
    return this.functions.get(block.slice(0, at))?.[Number(block.slice(at + 1))] === 1;
  }
}

function paint(ranges: readonly Profiler.CoverageRange[]): Uint8Array {
  const { startOffset, endOffset } = ranges[0]!;
  const text = new Uint8Array(endOffset - startOffset);
  for (const range of ranges)
    text.fill(range.count > 0 ? 1 : 0, range.startOffset - startOffset, range.endOffset - startOffset);
  return text;
}
