import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { type CertificateTemplate, issueCertificate } from './x509.ts';

const HOUR_MS = 3_600_000;
const NOW = Date.now();
const TEMPLATE: CertificateTemplate = {
  purpose: 'authority',
  commonName: 'authority',
  dnsNames: [],
  notBeforeMs: NOW - HOUR_MS,
  notAfterMs: NOW + HOUR_MS,
};

test.each<[string, number]>([
  ['this century', NOW + HOUR_MS],
  ['the second half of it, when dates are written otherwise', Date.UTC(2055, 0, 1, 12, 0, 0, 999)],
])('OpenSSL, at its strictest, takes what is valid into %s', async (_, notAfterMs) => {
  const authority = await issueCertificate({ ...TEMPLATE, notAfterMs });
  const server = await issueCertificate({ ...TEMPLATE, purpose: 'server', dnsNames: ['a.b'], notAfterMs }, authority);
  const folder = mkdtempSync(join(tmpdir(), 'egressd-x509-'));
  const [ca, leaf] = [join(folder, 'ca.pem'), join(folder, 'leaf.pem')];
  try {
    writeFileSync(ca, authority.certificate);
    writeFileSync(leaf, server.certificate);
    const verify = ['verify', '-x509_strict', '-purpose', 'sslserver', '-verify_hostname', 'a.b', '-CAfile', ca, leaf];
    expect(execFileSync('openssl', verify, { encoding: 'utf8' })).toBe(`${leaf}: OK\n`);
  } finally {
    rmSync(folder, { recursive: true });
  }
  expect(new X509Certificate(server.certificate).validToDate.getTime()).toBe(Math.floor(notAfterMs / 1000) * 1000);
});

test('no two have the same number', async () => {
  const both = [await issueCertificate(TEMPLATE), await issueCertificate(TEMPLATE)];
  const [one, other] = both.map(({ certificate }) => new X509Certificate(certificate).serialNumber);
  expect(one).toMatch(/^[4-7][\dA-F]{31}$/);
  expect(one).not.toBe(other);
});
