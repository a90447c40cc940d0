/**
 * Asks for a page as the kubelet does, each time on a new connection, and prints a line an answer: `STATUS MILLISECONDS`, with status 0
 * where there was none in time. It asks at its pace whatever comes back, so that the longest answer is the longest stall.
 *
 *   probe-process.ts URL
 */
import { get } from 'node:http';

const INTERVAL_MS = 100;
/** `timeoutSeconds` of the chart's probes. */
const TIMEOUT_MS = 5_000;

function probe(url: string): void {
  const startedMs = performance.now();
  let answered = false;
  const answer = (status: number): void => {
    if (answered) return;
    answered = true;
    process.stdout.write(`${status} ${Math.round(performance.now() - startedMs)}\n`);
  };
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const request = get(url, { agent: false, signal }, (response) => {
    response.on('end', () => answer(response.statusCode ?? 0)).on('error', () => answer(0));
    response.resume();
  });
  request.on('error', () => answer(0));
}

const [url = ''] = process.argv.slice(2);
setInterval(() => probe(url), INTERVAL_MS);
