import { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { type Contents, type Holdings, isSignedBy, readBundle } from './holdings.ts';
import { CLOCK_SKEW_MS, type Renewed, renew, SPREAD_MS, type Terms } from './renewal.ts';

const DAY_MS = 24 * 60 * 60_000;
const START_MS = Date.UTC(2030, 0, 1);
const TERMS: Terms = {
  dnsNames: ['egressd-exporter', 'egressd-exporter.egressd.svc'],
  validityMs: 90 * DAY_MS,
  renewBeforeMs: 30 * DAY_MS,
  authorityValidityMs: 365 * DAY_MS,
};
const EMPTY: Contents = { 'ca.crt': '', 'tls.crt': '', 'tls.key': '' };
const NOTHING: Holdings = { authority: EMPTY, exporter: EMPTY, collector: EMPTY };

type All = Awaited<ReturnType<typeof renew>>;
const heldAfter = ({ authority, exporter, collector }: All): Holdings => ({
  authority: authority.contents,
  exporter: exporter.contents,
  collector: collector.contents,
});
const becauses = (all: All) => [all.authority, all.exporter, all.collector].map(({ because }) => because);
const certificate = ({ contents }: Renewed) => new X509Certificate(contents['tls.crt']);
const days = (ms: number) => START_MS + ms * DAY_MS;

let first: All;
let held: Holdings;
beforeAll(async () => {
  first = await renew(NOTHING, TERMS, START_MS);
  held = heldAfter(first);
});

describe('what is made first', () => {
  test('is all missing', () => expect(becauses(first)).toEqual(Array(3).fill('there was none')));

  test('is an authority, and what it signs for each end and no other', () => {
    const [authority, exporter, collector] = [first.authority, first.exporter, first.collector].map(certificate);
    expect(authority!.ca).toBe(true);
    for (const leaf of [exporter!, collector!]) {
      expect(isSignedBy(leaf, authority!)).toBe(true);
      expect(leaf.ca).toBe(false);
    }
    expect(exporter!.subjectAltName).toBe('DNS:egressd-exporter, DNS:egressd-exporter.egressd.svc');
    expect(exporter!.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(collector!.subjectAltName).toBeUndefined();
    expect(collector!.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
  });

  test('is valid from an hour ago for as long as was asked', () => {
    const { validFromDate, validToDate } = certificate(first.collector);
    expect(validFromDate.getTime()).toBe(START_MS - CLOCK_SKEW_MS);
    expect(validToDate.getTime()).toBe(START_MS + TERMS.validityMs);
  });

  test('is trusted alone', () => {
    for (const { contents } of [first.authority, first.exporter, first.collector])
      expect(contents['ca.crt']).toBe(first.authority.contents['tls.crt']);
  });

  test('has a key of its own each', () => {
    const keys = [first.authority, first.exporter, first.collector].map(({ contents }) => contents['tls.key']);
    expect(new Set(keys).size).toBe(3);
  });
});

test.each([0, 1, 59.9])('%s days later nothing is to be done', async (day) => {
  const again = await renew(held, TERMS, days(day));
  expect(becauses(again)).toEqual([undefined, undefined, undefined]);
  expect(heldAfter(again)).toEqual(held);
});

test('the two ends are replaced before they expire, the authority stays', async () => {
  const again = await renew(held, TERMS, days(60.1));
  expect(becauses(again)).toEqual([undefined, 'it expires on 2030-04-01', 'it expires on 2030-04-01']);
  expect(again.collector.expiresMs).toBe(days(150.1));
  expect(again.exporter.contents['tls.key']).not.toBe(held.exporter['tls.key']);
});

describe('what cannot do its work is replaced', () => {
  const garbage = { ...EMPTY, 'tls.crt': 'x', 'tls.key': 'y' };
  test.each<[string, (held: Holdings) => Holdings, Terms, (string | undefined)[]]>([
    ['a Secret is empty', (it) => ({ ...it, collector: EMPTY }), TERMS, [undefined, undefined, 'there was none']],
    ['noise', (it) => ({ ...it, exporter: garbage }), TERMS, [undefined, 'tls.crt held no certificate', undefined]],
    [
      'no key',
      (it) => ({ ...it, exporter: { ...it.exporter, 'tls.key': '' } }),
      TERMS,
      [undefined, 'tls.key held no key', undefined],
    ],
    [
      'the key of another',
      (it) => ({ ...it, exporter: { ...it.exporter, 'tls.key': it.collector['tls.key'] } }),
      TERMS,
      [undefined, 'tls.key was not the key of tls.crt', undefined],
    ],
    [
      'the certificate of the other end',
      (it) => ({ ...it, exporter: it.collector }),
      TERMS,
      [undefined, 'it is not for a server', undefined],
    ],
    ['another name', (it) => it, { ...TERMS, dnsNames: ['other'] }, [undefined, 'its names have changed', undefined]],
    [
      'no authority in the bundle',
      (it) => ({ ...it, collector: { ...it.collector, 'ca.crt': '' } }),
      TERMS,
      [undefined, undefined, 'other authorities are trusted'],
    ],
    [
      'an authority that is none',
      (it) => ({ ...it, authority: { ...it.exporter } }),
      TERMS,
      [
        'tls.crt was not the certificate of an authority of ours',
        'other authorities are trusted',
        'other authorities are trusted',
      ],
    ],
    [
      'no authority',
      (it) => ({ ...it, authority: EMPTY }),
      TERMS,
      ['there was none', 'none of the authorities signed it', 'none of the authorities signed it'],
    ],
  ])('%s', async (_, spoil, terms, expected) => {
    const again = await renew(spoil(held), terms, days(1));
    expect(becauses(again)).toEqual(expected);
    const after = await renew(heldAfter(again), terms, days(1));
    expect(becauses(after)).toEqual([undefined, undefined, undefined]);
  });
});

test('after months without a run all is made anew', async () => {
  const again = await renew(held, TERMS, days(400));
  expect(becauses(again)).toEqual(['it expires on 2031-01-01', 'it expired on 2030-04-01', 'it expired on 2030-04-01']);
  expect(readBundle(again.exporter.contents['ca.crt']).length).toBe(1);
});

test('a clock that is behind changes nothing', async () =>
  expect(renew(held, TERMS, START_MS - CLOCK_SKEW_MS - 1000)).rejects.toThrow(
    "the authority's certificate is valid only from",
  ));

describe('an authority is replaced in steps', () => {
  /** Two years, a run each ten days: what each end shows is trusted by the other, also where that sees its Secret only after the next run. */
  test('nobody ever shows what the other end does not trust, in two years of runs', async () => {
    let before = held;
    const authorities = new Set<string>();
    for (let day = 1; day < 730; day += 10) {
      const all = await renew(before, TERMS, days(day));
      const after = heldAfter(all);
      for (const [one, other] of [
        ['exporter', 'collector'],
        ['collector', 'exporter'],
      ] as const)
        for (const shown of [before[one], after[one]])
          for (const trusting of [before[other], after[other]]) {
            const x509 = new X509Certificate(shown['tls.crt']);
            expect(x509.validToDate.getTime()).toBeGreaterThan(days(day));
            expect(readBundle(trusting['ca.crt']).some((authority) => isSignedBy(x509, authority))).toBe(true);
          }
      authorities.add(after.authority['tls.crt']);
      before = after;
    }
    expect(authorities.size).toBe(3);
  });

  test('trusted first, then it signs, then it is trusted alone', async () => {
    const due = 365 - 90 - 30 + 1;
    // The two ends as a daily run would have left them.
    const before = heldAfter(await renew(heldAfter(await renew(held, TERMS, days(61))), TERMS, days(due - 61)));
    const introduced = await renew(before, TERMS, days(due));
    expect(becauses(introduced)).toEqual([
      'it expires on 2031-01-01',
      'other authorities are trusted',
      'other authorities are trusted',
    ]);
    expect(readBundle(introduced.exporter.contents['ca.crt']).length).toBe(2);
    expect(introduced.exporter.contents['tls.crt']).toBe(before.exporter['tls.crt']);

    const soon = await renew(heldAfter(introduced), TERMS, days(due) + SPREAD_MS - 1000);
    expect(becauses(soon)).toEqual([undefined, undefined, undefined]);

    const signing = await renew(heldAfter(introduced), TERMS, days(due) + SPREAD_MS);
    expect(becauses(signing)).toEqual([undefined, 'a newer authority signs', 'a newer authority signs']);
    expect(readBundle(signing.collector.contents['ca.crt']).length).toBe(2);

    const alone = await renew(heldAfter(signing), TERMS, days(due) + 2 * SPREAD_MS);
    expect(becauses(alone)).toEqual(Array(3).fill('other authorities are trusted'));
    expect(alone.exporter.contents['ca.crt']).toBe(introduced.authority.contents['tls.crt']);
    expect(becauses(await renew(heldAfter(alone), TERMS, days(due + 2)))).toEqual([undefined, undefined, undefined]);
  });
});
