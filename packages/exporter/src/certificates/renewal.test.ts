import { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { type CertificateSet, isSignedBy, readBundle, type SecretData } from './certificate-set.ts';
import { CLOCK_SKEW_MS, PROPAGATION_MS, type RenewalPolicy, type RenewedSecret, renewCertificates } from './renewal.ts';

const DAY_MS = 24 * 60 * 60_000;
const START_MS = Date.UTC(2030, 0, 1);
const POLICY: RenewalPolicy = {
  dnsNames: ['egressd-exporter', 'egressd-exporter.egressd.svc'],
  validityMs: 90 * DAY_MS,
  renewBeforeMs: 30 * DAY_MS,
  authorityValidityMs: 365 * DAY_MS,
};
const EMPTY: SecretData = { 'ca.crt': '', 'tls.crt': '', 'tls.key': '' };
const NOTHING: CertificateSet = { authority: EMPTY, exporter: EMPTY, collector: EMPTY };

type All = Awaited<ReturnType<typeof renewCertificates>>;
const heldAfter = ({ authority, exporter, collector }: All): CertificateSet => ({
  authority: authority.data,
  exporter: exporter.data,
  collector: collector.data,
});
const causes = (all: All) => [all.authority, all.exporter, all.collector].map(({ cause }) => cause);
const certificate = ({ data }: RenewedSecret) => new X509Certificate(data['tls.crt']);
const days = (ms: number) => START_MS + ms * DAY_MS;

let first: All;
let held: CertificateSet;
beforeAll(async () => {
  first = await renewCertificates(NOTHING, POLICY, START_MS);
  held = heldAfter(first);
});

describe('the first certificates', () => {
  test('are all missing before', () => expect(causes(first)).toEqual(Array(3).fill('missing')));

  test('are an authority, and a certificate for each end and no other use', () => {
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

  test('are valid from an hour ago for the validity', () => {
    const { validFromDate, validToDate } = certificate(first.collector);
    expect(validFromDate.getTime()).toBe(START_MS - CLOCK_SKEW_MS);
    expect(validToDate.getTime()).toBe(START_MS + POLICY.validityMs);
  });

  test('trust this authority alone', () => {
    for (const { data } of [first.authority, first.exporter, first.collector])
      expect(data['ca.crt']).toBe(first.authority.data['tls.crt']);
  });

  test('have a key of their own each', () => {
    const keys = [first.authority, first.exporter, first.collector].map(({ data }) => data['tls.key']);
    expect(new Set(keys).size).toBe(3);
  });
});

test.each([0, 1, 59.9])('%s days later nothing changes', async (day) => {
  const again = await renewCertificates(held, POLICY, days(day));
  expect(causes(again)).toEqual([undefined, undefined, undefined]);
  expect(heldAfter(again)).toEqual(held);
});

test('the two ends are replaced before they expire, the authority stays', async () => {
  const again = await renewCertificates(held, POLICY, days(60.1));
  expect(causes(again)).toEqual([undefined, 'expires on 2030-04-01', 'expires on 2030-04-01']);
  expect(again.collector.expiresMs).toBe(days(150.1));
  expect(again.exporter.data['tls.key']).not.toBe(held.exporter['tls.key']);
});

describe('what cannot be used is replaced', () => {
  const garbage = { ...EMPTY, 'tls.crt': 'x', 'tls.key': 'y' };
  test.each<[string, (held: CertificateSet) => CertificateSet, RenewalPolicy, (string | undefined)[]]>([
    ['a Secret is empty', (it) => ({ ...it, collector: EMPTY }), POLICY, [undefined, undefined, 'missing']],
    ['no PEM', (it) => ({ ...it, exporter: garbage }), POLICY, [undefined, 'no certificate in tls.crt', undefined]],
    [
      'no key',
      (it) => ({ ...it, exporter: { ...it.exporter, 'tls.key': '' } }),
      POLICY,
      [undefined, 'no private key in tls.key', undefined],
    ],
    [
      'the key of another',
      (it) => ({ ...it, exporter: { ...it.exporter, 'tls.key': it.collector['tls.key'] } }),
      POLICY,
      [undefined, 'tls.key does not belong to tls.crt', undefined],
    ],
    [
      'the certificate of the other end',
      (it) => ({ ...it, exporter: it.collector }),
      POLICY,
      [undefined, 'not for a server', undefined],
    ],
    ['another name', (it) => it, { ...POLICY, dnsNames: ['other'] }, [undefined, 'DNS names changed', undefined]],
    [
      'no authority in the bundle',
      (it) => ({ ...it, collector: { ...it.collector, 'ca.crt': '' } }),
      POLICY,
      [undefined, undefined, 'trusted authorities changed'],
    ],
    [
      'an authority that is none',
      (it) => ({ ...it, authority: { ...it.exporter } }),
      POLICY,
      ['tls.crt is no authority of this program', 'trusted authorities changed', 'trusted authorities changed'],
    ],
    [
      'no authority',
      (it) => ({ ...it, authority: EMPTY }),
      POLICY,
      ['missing', 'not signed by a trusted authority', 'not signed by a trusted authority'],
    ],
  ])('%s', async (_, spoil, policy, expected) => {
    const again = await renewCertificates(spoil(held), policy, days(1));
    expect(causes(again)).toEqual(expected);
    const after = await renewCertificates(heldAfter(again), policy, days(1));
    expect(causes(after)).toEqual([undefined, undefined, undefined]);
  });
});

test('after months without a run all is made anew', async () => {
  const again = await renewCertificates(held, POLICY, days(400));
  expect(causes(again)).toEqual(['expires on 2031-01-01', 'expired on 2030-04-01', 'expired on 2030-04-01']);
  expect(readBundle(again.exporter.data['ca.crt']).length).toBe(1);
});

test('a clock that is behind changes nothing', async () =>
  expect(renewCertificates(held, POLICY, START_MS - CLOCK_SKEW_MS - 1000)).rejects.toThrow(
    "the authority's certificate is valid only from",
  ));

describe('an authority is replaced in steps', () => {
  /** Two years, a run each ten days: what each end shows is trusted by the other, also where that sees its Secret only after the next run. */
  test('no end ever presents what the other end does not trust, in two years of runs', async () => {
    let before = held;
    const authorities = new Set<string>();
    for (let day = 1; day < 730; day += 10) {
      const all = await renewCertificates(before, POLICY, days(day));
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
    const before = heldAfter(
      await renewCertificates(heldAfter(await renewCertificates(held, POLICY, days(61))), POLICY, days(due - 61)),
    );
    const introduced = await renewCertificates(before, POLICY, days(due));
    expect(causes(introduced)).toEqual([
      'expires on 2031-01-01',
      'trusted authorities changed',
      'trusted authorities changed',
    ]);
    expect(readBundle(introduced.exporter.data['ca.crt']).length).toBe(2);
    expect(introduced.exporter.data['tls.crt']).toBe(before.exporter['tls.crt']);

    const soon = await renewCertificates(heldAfter(introduced), POLICY, days(due) + PROPAGATION_MS - 1000);
    expect(causes(soon)).toEqual([undefined, undefined, undefined]);

    const signing = await renewCertificates(heldAfter(introduced), POLICY, days(due) + PROPAGATION_MS);
    expect(causes(signing)).toEqual([undefined, 'a newer authority signs', 'a newer authority signs']);
    expect(readBundle(signing.collector.data['ca.crt']).length).toBe(2);

    const alone = await renewCertificates(heldAfter(signing), POLICY, days(due) + 2 * PROPAGATION_MS);
    expect(causes(alone)).toEqual(Array(3).fill('trusted authorities changed'));
    expect(alone.exporter.data['ca.crt']).toBe(introduced.authority.data['tls.crt']);
    expect(causes(await renewCertificates(heldAfter(alone), POLICY, days(due + 2)))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});
