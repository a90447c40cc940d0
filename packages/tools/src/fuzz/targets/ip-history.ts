import { createHash } from 'node:crypto';
import { decodeIpHistory, encodeIpHistory } from '@egressd/exporter/state/ip-history/format';
import { mustEqual, type Target } from '../target.ts';

const BODY = JSON.stringify({
  savedMs: 1_700_000_000_000,
  sources: ['kubernetes'],
  nodes: [
    {
      name: 'node-a',
      zone: 'z',
      region: 'r',
      sources: ['kubernetes'],
      times: { declared: [['192.168.0.1', null, null]], kernel: [] },
    },
  ],
  pods: [
    {
      namespace: 'shop',
      name: 'web-1',
      node: 'node-a',
      workload: { kind: 'Deployment', name: 'web' },
      living: { source: 'kubernetes', key: 'u1' },
      times: [['10.1.0.7', 1_700_000_000_000, null]],
    },
  ],
});

/** A body under the first line that belongs to it. */
function withHead(body: Buffer): Uint8Array {
  const hash = createHash('sha256').update(body).digest('hex');
  return new Uint8Array(Buffer.concat([Buffer.from(`egressd-ip-history 1 ${body.length} ${hash}\n`), body]));
}

/** The exporter's IP history. */
export const IP_HISTORY: Target = {
  name: 'ip-history',
  about: "the exporter's file of who had which address",
  seeds: () => [withHead(Buffer.from(BODY))],
  words: [
    ...new Set(BODY.match(/"\w*"/g)),
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    'null',
    '1e999',
    '-1',
    '"::"',
    'egressd-ip-history 1 ',
  ],
  mend: (input) => withHead(Buffer.from(input.subarray(input.indexOf(0x0a) + 1))),
  run(input) {
    const read = decodeIpHistory(Buffer.from(input));
    if (!read.ok) return;
    const again = decodeIpHistory(encodeIpHistory(read.history));
    mustEqual(again, read, 'written again, it says something else');
  },
};
