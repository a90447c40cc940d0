import { createHash } from 'node:crypto';
import { addressKey, parseAddress } from '@egressd/flow/address';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { IpHistoryImage } from '../../owners/ip-history-image.ts';
import { decodeIpHistory, encodeIpHistory } from './format.ts';

const key = (text: string) => addressKey(parseAddress(text)!);

const SMALL: IpHistoryImage = {
  savedMs: 1_700_000_000_000,
  sources: ['kubernetes'],
  nodes: [
    {
      name: 'n1',
      zone: 'z',
      region: '',
      sources: ['kubernetes'],
      times: {
        declared: [{ key: key('192.168.0.1'), fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY }],
        kernel: [],
      },
    },
  ],
  pods: [
    {
      namespace: 'ns',
      name: 'a',
      node: 'n1',
      workload: { kind: 'Job', name: 'a' },
      living: { source: 'kubernetes', key: 'uid' },
      times: [{ key: key('fd00::1'), fromMs: 1_699_999_999_000, toMs: Number.POSITIVE_INFINITY }],
    },
  ],
  leftOut: 0,
};

test('decodes to what was encoded', () => {
  const address = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => addressKey(bytes));
  const times = fc.array(
    fc.record({
      key: address,
      fromMs: fc.oneof(fc.constant(Number.NEGATIVE_INFINITY), fc.integer()),
      toMs: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.integer()),
    }),
  );
  const text = fc.string({ unit: 'grapheme' });
  const history = fc.record({
    savedMs: fc.integer(),
    sources: fc.array(text),
    nodes: fc.array(
      fc.record({
        name: text,
        zone: text,
        region: text,
        sources: fc.array(text),
        times: fc.record({ declared: times, kernel: times }),
      }),
    ),
    pods: fc.array(
      fc.record({
        namespace: text,
        name: text,
        node: text,
        workload: fc.option(fc.record({ kind: text, name: text }), { nil: undefined }),
        living: fc.option(fc.record({ source: text, key: text }), { nil: undefined }),
        times,
      }),
    ),
    leftOut: fc.constant(0),
  });
  fc.assert(
    fc.property(history, (one) => expect(decodeIpHistory(encodeIpHistory(one))).toEqual({ ok: true, history: one })),
    { numRuns: 150 },
  );
});

test('the format', () => {
  const [head, body = ''] = encodeIpHistory(SMALL).toString('utf8').split('\n');
  expect(JSON.parse(body)).toMatchObject({
    nodes: [{ name: 'n1', times: { declared: [['192.168.0.1', null, null]], kernel: [] } }],
    pods: [{ name: 'a', living: { source: 'kubernetes', key: 'uid' }, times: [['fd00::1', 1_699_999_999_000, null]] }],
  });
  const hash = createHash('sha256').update(body).digest('hex');
  expect(head).toBe(`egressd-ip-history 1 ${body.length} ${hash}`);
});

test('truncated after any byte: refused', () => {
  const bytes = encodeIpHistory(SMALL);
  for (let length = 0; length < bytes.length; length++)
    expect(decodeIpHistory(bytes.subarray(0, length))).toEqual({ ok: false, reason: 'damaged' });
});

test('any byte changed, or one more: refused', () => {
  const bytes = encodeIpHistory(SMALL);
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes);
    changed[at]! ^= 1;
    expect(decodeIpHistory(changed).ok).toBe(false);
  }
  expect(decodeIpHistory(Buffer.concat([bytes, Buffer.from('\n')])).ok).toBe(false);
});

/** A file with the right checksum of what it holds. */
function sealed(body: string, version = '1'): Buffer {
  const hash = createHash('sha256').update(body).digest('hex');
  return Buffer.from(`egressd-ip-history ${version} ${Buffer.byteLength(body)} ${hash}\n${body}`);
}

const BODY = '{"savedMs":1,"sources":[],"nodes":[],"pods":[]}';

test.each<[string, Buffer, string]>([
  ['nothing', Buffer.alloc(0), 'damaged'],
  ['something else', Buffer.from('{"pods":[]}\n'), 'foreign'],
  ['zeros', Buffer.alloc(4096), 'foreign'],
  ['one of a later version', sealed(BODY, '2'), 'version'],
  ['no JSON', sealed('{'), 'damaged'],
  ['something missing', sealed('{"savedMs":1}'), 'damaged'],
  ['something more', sealed(BODY.replace('}', ',"more":1}')), 'damaged'],
  [
    'no address',
    sealed(BODY.replace('"pods":[]', '"pods":[{"namespace":"","name":"","node":"","times":[["x",1,2]]}]')),
    'damaged',
  ],
])('%s is refused', (_, bytes, reason) => {
  expect(decodeIpHistory(sealed(BODY)).ok).toBe(true);
  expect(decodeIpHistory(bytes)).toEqual({ ok: false, reason });
});
