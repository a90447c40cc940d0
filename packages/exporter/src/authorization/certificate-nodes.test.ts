import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type CertificateNodes, certificateNodes, nodesIn } from './certificate-nodes.ts';

const ANY: CertificateNodes = { kind: 'any' };
const named = (...names: string[]): CertificateNodes => ({ kind: 'named', names });

describe('nodes that a certificate names', () => {
  test.each<[string, CertificateNodes]>([
    ['', ANY],
    ['DNS:localhost, IP Address:127.0.0.1', ANY],
    ['URI:spiffe://cluster.local/ns/egressd/sa/collector', ANY],
    ['URI:egressd://node/a', named('a')],
    ['DNS:x, URI:egressd://node/ip-10-0-0-1.ec2.internal, IP Address:::1', named('ip-10-0-0-1.ec2.internal')],
    ['URI:egressd://node/a, URI:egressd://node/b', named('a', 'b')],
    ['URI:EGRESSD://Node/a', named('a')],
    ['URI:"egressd://node/a"', named('a')],
    ['DNS:"x, URI:egressd://node/b", URI:egressd://node/a', named('a')],
    ['DNS:"x, URI:egressd://node/b"', ANY],
    ['noise', ANY],
    ['othername:<unsupported>, URI:egressd://node/a', named('a')],
  ])('%s', (names, expected) => expect(nodesIn(names)).toEqual(expected));

  test.each([
    'URI:egressd://node/',
    'URI:egressd://nodes/a',
    'URI:egressd:a',
    'URI:egressd://node/A',
    'URI:egressd://node/a/b',
    'URI:egressd://node/a%2Eb',
    'URI:egressd://node/a?b',
    'URI:"egressd://node/a, URI:egressd://node/b"',
    'URI:egressd://node/a, URI:egressd://node/',
    'URI:egressd://node/a, "',
    'noise, URI:egressd://node/a',
    'URI:"egressd://node/\\x61"',
  ])('%s: none', (names) => expect(nodesIn(names).kind).toBe('unclear'));
});

test('whatever the names are, one that begins like ours is never overlooked', () => {
  const kind = fc.constantFrom('DNS', 'URI', 'IP Address', 'othername', 'DirName');
  const name = fc.tuple(
    kind,
    fc.oneof(
      fc.string(),
      fc.string().map((text) => JSON.stringify(text)),
    ),
  );
  fc.assert(
    fc.property(fc.array(name, { maxLength: 5 }), fc.nat(5), (list, at) => {
      const texts = list.map(([before, text]) => `${before}:${text}`);
      expect(['any', 'named', 'unclear']).toContain(nodesIn(texts.join(', ')).kind);
      const ours = [...texts.slice(0, at), 'URI:egressd://node/a', ...texts.slice(at)].join(', ');
      const { kind: what } = nodesIn(ours);
      // What looks like the end of a quoted name may swallow it: then nothing before it can be split either.
      if (!texts.some((text) => text.includes('"'))) expect(what).not.toBe('any');
    }),
    { numRuns: 500 },
  );
});

test('a certificate that cannot be seen allows nothing where one is asked for', () => {
  expect(certificateNodes({}, false)).toEqual(ANY);
  expect(certificateNodes({}, true).kind).toBe('unclear');
  expect(certificateNodes({ transportSecurityType: 'ssl' }, true).kind).toBe('unclear');
});
