import { setTimeout as sleep } from 'node:timers/promises';
import { type CheckResult, compareSamples, parseSample, type Sample } from './sample.ts';

/** Between two scrapes. */
const INTERVAL_MS = 2_000;
/** Longest wait for a response: a working exporter answers at once. */
const SCRAPE_TIMEOUT_MS = 5_000;

interface CheckOptions {
  /** The exporter's `/metrics`. */
  readonly url: string;
  readonly timeoutMs: number;
  /** For tests. */
  readonly intervalMs?: number;
}

/** Scrapes an exporter's `/metrics` until the installation works, or until the timeout. @returns the last result */
export async function checkInstall({ url, timeoutMs, intervalMs = INTERVAL_MS }: CheckOptions): Promise<CheckResult> {
  const endMs = performance.now() + timeoutMs;
  let first: Sample | undefined;
  for (;;) {
    const scraped = await scrape(url);
    let result: CheckResult;
    if ('error' in scraped) result = { ok: false, lines: [`failed: ${scraped.error}`] };
    else {
      // The counters of an exporter that has restarted begin at zero.
      if (first === undefined || scraped.sample.batches < first.batches) first = scraped.sample;
      result = compareSamples(first, scraped.sample);
    }
    if (result.ok || performance.now() >= endMs) return result;
    await sleep(intervalMs);
  }
}

async function scrape(url: string): Promise<{ readonly sample: Sample } | { readonly error: string }> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(SCRAPE_TIMEOUT_MS), redirect: 'error' });
    if (!response.ok) return { error: `${url} answered ${response.status}: is it the exporter's /metrics?` };
    const sample = parseSample(await response.text());
    return sample === undefined ? { error: `${url} is not the /metrics of an exporter` } : { sample };
  } catch (error) {
    const { cause, message } = error as Error;
    const why = cause instanceof Error ? cause.message : message;
    return {
      error: `${url} cannot be read: ${why}; does the exporter run, and does a NetworkPolicy allow this pod?`,
    };
  }
}
