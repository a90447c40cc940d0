import { SILENT } from '@egressd/daemon/log';
import { expect, test } from '@jest/globals';
import type { KubeApi } from './api.ts';
import { EventRecorder } from './events.ts';

interface Posted {
  readonly metadata: { readonly name: string };
  readonly involvedObject: { readonly name: string };
}

test.each([
  ['short', 'n1', 'n1'],
  ['of 253 letters, the most that Kubernetes takes', 'n'.repeat(253), 'n'.repeat(222)],
  ['cut behind a dot', `${'n'.repeat(220)}-.${'o'.repeat(31)}`, 'n'.repeat(220)],
])('the name of an event of a node whose name is %s is a name', async (_, node, begin) => {
  const posted: Posted[] = [];
  const api = { json: async ({ body }: { body: Posted }) => posted.push(body) } as unknown as KubeApi;
  const recorder = new EventRecorder(
    api,
    SILENT,
    () => Date.parse('2026-01-02T03:04:05Z'),
    new AbortController().signal,
  );
  await recorder.record({ node, reason: 'AccountingOff', message: '' });
  const [event] = posted;
  expect(event!.metadata.name).toBe(`${begin}.1886caf21c963200.accountingoff`);
  expect(event!.metadata.name.length).toBeLessThanOrEqual(253);
  expect(event!.involvedObject.name).toBe(node);
});
