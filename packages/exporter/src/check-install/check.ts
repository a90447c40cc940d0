import { setTimeout as sleep } from 'node:timers/promises';
import { judge, type Reading, readPage, type Verdict } from './reading.ts';

/** Between two looks. */
const PAUSE_MS = 2_000;
/** An exporter that is well answers at once. */
const ANSWER_MS = 5_000;

export interface CheckOptions {
  readonly url: string;
  readonly timeoutMs: number;
  /** For tests. */
  readonly pauseMs?: number;
}

/** Looks at an exporter's `/metrics` until it is well, or until the time is over. @returns the last judgement */
export async function checkInstall({ url, timeoutMs, pauseMs = PAUSE_MS }: CheckOptions): Promise<Verdict> {
  const endMs = performance.now() + timeoutMs;
  let first: Reading | undefined;
  for (;;) {
    const seen = await look(url);
    let verdict: Verdict;
    if ('problem' in seen) verdict = { ok: false, lines: [`failed: ${seen.problem}`] };
    else {
      // An exporter that has started anew counts from zero again.
      if (first === undefined || seen.reading.batches < first.batches) first = seen.reading;
      verdict = judge(first, seen.reading);
    }
    if (verdict.ok || performance.now() >= endMs) return verdict;
    await sleep(pauseMs);
  }
}

/** One look at the page. */
async function look(url: string): Promise<{ readonly reading: Reading } | { readonly problem: string }> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS), redirect: 'error' });
    if (!answer.ok) return { problem: `${url} answers ${answer.status}: is it the exporter's /metrics?` };
    const reading = readPage(await answer.text());
    return reading === undefined ? { problem: `${url} is not the /metrics of an exporter` } : { reading };
  } catch (error) {
    const { cause, message } = error as Error;
    const why = cause instanceof Error ? cause.message : message;
    return {
      problem: `${url} cannot be read: ${why}; does the exporter run, and does a NetworkPolicy let this pod in?`,
    };
  }
}
