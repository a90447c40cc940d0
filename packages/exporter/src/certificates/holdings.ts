import { createPrivateKey, X509Certificate } from 'node:crypto';

/** The three Secrets, by who uses what they hold. */
export const ROLES = ['authority', 'exporter', 'collector'] as const;
export type Role = (typeof ROLES)[number];

/**
 * What one Secret holds, PEM; empty where there is nothing:
 *
 *   ca.crt    every authority whose certificates are to be taken now, the one that signs first
 *   tls.crt   the certificate: the authority's own, the exporter's, the collectors'
 *   tls.key   its key
 */
export interface Contents {
  readonly 'ca.crt': string;
  readonly 'tls.crt': string;
  readonly 'tls.key': string;
}

/** What all three hold. */
export type Holdings = Readonly<Record<Role, Contents>>;

/** A certificate with its key, read and found to belong together. */
export interface Pair {
  readonly certificate: string;
  readonly key: string;
  readonly x509: X509Certificate;
}

/** Reads a certificate and its key. @returns what is wrong with them, for people, where they cannot be used */
export function readPair(contents: Contents): Pair | string {
  const { 'tls.crt': certificate, 'tls.key': key } = contents;
  if (certificate === '' && key === '') return 'there was none';
  const x509 = readCertificate(certificate);
  if (x509 === undefined) return 'tls.crt held no certificate';
  try {
    if (!x509.checkPrivateKey(createPrivateKey(key))) return 'tls.key was not the key of tls.crt';
  } catch {
    // The parser's own words might show something of the key.
    return 'tls.key held no key';
  }
  return { certificate, key, x509 };
}

/** The certificates of a bundle that can be read, in order. What else is there is nobody's to trust. */
export function readBundle(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map(readCertificate).filter((one) => one !== undefined);
}

/** Whether the authority's key signed it, and says that it may. */
export function isSignedBy(x509: X509Certificate, authority: X509Certificate): boolean {
  return x509.checkIssued(authority) && x509.verify(authority.publicKey);
}

function readCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}
