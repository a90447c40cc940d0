import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { checkInstall } from './check.ts';
import { parseCheckInstallFlags } from './flags.ts';

let server: Server;
let url: string;
/** What is answered, one after the other; the last again and again. */
let answers: (string | number)[];

beforeEach(async () => {
  server = createServer((_request, response) => {
    const answer = answers.length > 1 ? answers.shift()! : answers[0]!;
    response.statusCode = typeof answer === 'number' ? answer : 200;
    response.end(typeof answer === 'number' ? '' : answer);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`;
});

afterEach(() => new Promise((resolve) => server.close(resolve)));

function page(streams: number, batches: number, flows: number): string {
  return `egressd_exporter_receiver_streams ${streams}\negressd_exporter_receiver_batches_total ${batches}\negressd_exporter_flows_total ${flows}\n`;
}

test('waits until counters increase, also over a restart of the exporter', async () => {
  answers = [page(0, 9, 9), 503, page(1, 0, 0), page(1, 1, 2)];
  const result = await checkInstall({ url, timeoutMs: 60_000, intervalMs: 1 });
  expect(result.ok).toBe(true);
  expect(result.lines).toContain('ok: counters increase: batches +1, flows +2');
});

test.each<[string, string | number, string]>([
  ['no collector streams', page(0, 0, 0), 'failed: no collector streams'],
  ['another status', 404, 'answered 404'],
  ['another program', 'hello', 'is not the /metrics of an exporter'],
])('fails at the timeout: %s', async (_, answer, expected) => {
  answers = [answer];
  const result = await checkInstall({ url, timeoutMs: 20, intervalMs: 1 });
  expect(result.ok).toBe(false);
  expect(result.lines.join('\n')).toContain(expected);
});

test('nothing listens', async () => {
  await new Promise((resolve) => server.close(resolve));
  const result = await checkInstall({ url, timeoutMs: 1, intervalMs: 1 });
  expect(result.lines[0]).toContain('cannot be read');
  expect(result.lines[0]).toContain('NetworkPolicy');
});

test('the URL has to be one', () => {
  expect(parseCheckInstallFlags([], {})).toMatchObject({ kind: 'mistakes' });
  expect(parseCheckInstallFlags(['-url=exporter:6060'], {})).toMatchObject({ kind: 'mistakes' });
  expect(parseCheckInstallFlags([`-url=${url}`], {})).toMatchObject({
    kind: 'values',
    values: { url, timeout: 120_000 },
  });
});
