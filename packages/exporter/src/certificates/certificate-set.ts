import { createPrivateKey, X509Certificate } from 'node:crypto';

/** The three Secrets, by who uses them. */
export const ROLES = ['authority', 'exporter', 'collector'] as const;
export type Role = (typeof ROLES)[number];

/**
 * The data of one Secret, PEM; empty where there is none:
 *
 *   ca.crt    every authority that is trusted now, first the one that signs
 *   tls.crt   the certificate: the authority's own, the exporter's, the collectors'
 *   tls.key   its private key
 */
export interface SecretData {
  readonly 'ca.crt': string;
  readonly 'tls.crt': string;
  readonly 'tls.key': string;
}

/** The data of all three. */
export type CertificateSet = Readonly<Record<Role, SecretData>>;

/** A certificate with its private key. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
  readonly x509: X509Certificate;
}

/** Reads a certificate and its key. @returns why they cannot be used, where they cannot */
export function readKeyPair(data: SecretData): KeyPair | string {
  const { 'tls.crt': certificate, 'tls.key': key } = data;
  if (certificate === '' && key === '') return 'missing';
  const x509 = readCertificate(certificate);
  if (x509 === undefined) return 'no certificate in tls.crt';
  try {
    if (!x509.checkPrivateKey(createPrivateKey(key))) return 'tls.key does not belong to tls.crt';
  } catch {
    // The parser's message might quote the key.
    return 'no private key in tls.key';
  }
  return { certificate, key, x509 };
}

/** The certificates of a bundle, in order; what cannot be parsed is skipped. */
export function readBundle(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map(readCertificate).filter((one) => one !== undefined);
}

/** Whether the authority signed it, and may. */
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
