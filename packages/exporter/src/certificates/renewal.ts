import type { X509Certificate } from 'node:crypto';
import {
  type CertificateSet,
  isSignedBy,
  type KeyPair,
  type Role,
  readBundle,
  readKeyPair,
  type SecretData,
} from './certificate-set.ts';
import { CURVE, EXTENDED_USAGE, issueCertificate, type PemPair } from './x509.ts';

/** Certificates are valid from so long before they are issued: the clocks of nodes differ. */
export const CLOCK_SKEW_MS = 60 * 60_000;
/**
 * How long a new authority is trusted before it signs, and how long the one before stays trusted after its last certificate was replaced:
 * until then every pod has the new Secrets. The kubelet updates mounted Secrets within about two minutes, where it can; a program that
 * runs daily waits a day.
 */
export const PROPAGATION_MS = 12 * 60 * 60_000;

/** What certificates are issued for, and how long. Times in milliseconds. */
export interface RenewalPolicy {
  /** Names by which collectors reach the exporter. */
  readonly dnsNames: readonly string[];
  /** How long the exporter's and the collectors' certificates are valid. */
  readonly validityMs: number;
  /** They are replaced when they are valid no longer than that. */
  readonly renewBeforeMs: number;
  /** How long an authority is valid. It is replaced as soon as a certificate that is issued and replaced in time might outlive it. */
  readonly authorityValidityMs: number;
}

/** The data that a Secret should have. */
export interface RenewedSecret {
  readonly data: SecretData;
  /** Why it differs from the current data; undefined: it does not. */
  readonly cause: string | undefined;
  /** When the certificate expires, Unix milliseconds. */
  readonly expiresMs: number;
}

/** Nothing is renewed, because something else must be put right first. The message has what. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
}

/** The certificates of the two ends of the stream. */
const LEAVES = {
  exporter: { purpose: 'server', commonName: 'egressd-exporter' },
  collector: { purpose: 'client', commonName: 'egressd-collector' },
} as const;
type Leaf = keyof typeof LEAVES;

/**
 * The data that the three Secrets should have, from the data that they have. There is no other state: an authority is replaced in steps,
 * one a run, and each run sees from the certificates which step is next.
 *
 *   before               1. introduced        2. signs, 12 h later     3. alone, 12 h later
 *   trusted: old         trusted: new, old    trusted: new, old        trusted: new
 *   leaves by old        leaves by old        leaves by new            leaves by new
 *
 * The key of the old authority is discarded in step 1. So at no time is a certificate in use that the other end, which may see its
 * Secret later, does not trust.
 * @throws CertificateError where a clock is wrong
 */
export async function renewCertificates(
  current: CertificateSet,
  policy: RenewalPolicy,
  nowMs: number,
): Promise<Readonly<Record<Role, RenewedSecret>>> {
  for (const [role, data] of Object.entries(current)) checkClock(role, readKeyPair(data), nowMs);
  const signer = await authorityFor(current.authority, policy, nowMs);
  const trusted = trustedNow(current, signer.pair, nowMs);
  const bundle = trusted.map(String).join('');
  const leaf = (role: Leaf) => leafFor(role, current[role], { signer: signer.pair, trusted, bundle }, policy, nowMs);
  return {
    authority: renewedTo(current.authority, signer.pair, bundle, signer.cause),
    exporter: await leaf('exporter'),
    collector: await leaf('collector'),
  };
}

/** The authority that signs from now on: the current one, or a new one and why. */
async function authorityFor(
  data: SecretData,
  { validityMs, renewBeforeMs, authorityValidityMs }: RenewalPolicy,
  nowMs: number,
): Promise<{ pair: KeyPair; cause: string | undefined }> {
  const current = readKeyPair(data);
  const cause = typeof current === 'string' ? current : unfitAuthority(current.x509, validityMs + renewBeforeMs, nowMs);
  if (typeof current !== 'string' && cause === undefined) return { pair: current, cause };
  const issued = await issueCertificate({
    purpose: 'authority',
    // An operator must be able to distinguish two authorities.
    commonName: `egressd-authority ${new Date(nowMs).toISOString().slice(0, 19)}Z`,
    dnsNames: [],
    notBeforeMs: nowMs - CLOCK_SKEW_MS,
    notAfterMs: nowMs + authorityValidityMs,
  });
  return { pair: keyPairOf(issued), cause };
}

function unfitAuthority(x509: X509Certificate, neededMs: number, nowMs: number): string | undefined {
  if (!x509.ca || x509.publicKey.asymmetricKeyDetails?.namedCurve !== CURVE)
    return 'tls.crt is no authority of this program';
  return expiresMs(x509) < nowMs + neededMs ? `expires on ${day(x509)}` : undefined;
}

/** The authorities that both ends trust: the signer, and those before it while a certificate of theirs may be in use. */
function trustedNow(current: CertificateSet, { x509: signer }: KeyPair, nowMs: number): X509Certificate[] {
  const alone = [current.exporter, current.collector].every((data) => {
    const leaf = readKeyPair(data);
    return typeof leaf !== 'string' && isSignedBy(leaf.x509, signer) && ageMs(leaf.x509, nowMs) >= PROPAGATION_MS;
  });
  const before = readBundle(current.authority['ca.crt']).filter(
    (one) => one.fingerprint256 !== signer.fingerprint256 && expiresMs(one) > nowMs,
  );
  return alone ? [signer] : [signer, ...before];
}

/** The authority that signs, and those that are trusted. */
interface Authorities {
  readonly signer: KeyPair;
  readonly trusted: readonly X509Certificate[];
  readonly bundle: string;
}

async function leafFor(
  role: Leaf,
  data: SecretData,
  { signer, trusted, bundle }: Authorities,
  policy: RenewalPolicy,
  nowMs: number,
): Promise<RenewedSecret> {
  const current = readKeyPair(data);
  const dnsNames = role === 'exporter' ? policy.dnsNames : [];
  const unfit = typeof current === 'string' ? current : unfitLeaf(role, current.x509, trusted, dnsNames, nowMs);
  const cause = unfit ?? dueLeaf((current as KeyPair).x509, signer.x509, policy, nowMs);
  if (cause === undefined) return renewedTo(data, current as KeyPair, bundle, undefined);
  const { purpose, commonName } = LEAVES[role];
  const notAfterMs = Math.min(nowMs + policy.validityMs, expiresMs(signer.x509));
  const template = { purpose, commonName, dnsNames, notBeforeMs: nowMs - CLOCK_SKEW_MS, notAfterMs };
  return renewedTo(data, keyPairOf(await issueCertificate(template, signer)), bundle, cause);
}

/** Why a certificate cannot be used; undefined: it can. */
function unfitLeaf(
  role: Leaf,
  x509: X509Certificate,
  trusted: readonly X509Certificate[],
  dnsNames: readonly string[],
  nowMs: number,
): string | undefined {
  if (expiresMs(x509) <= nowMs) return `expired on ${day(x509)}`;
  if (!trusted.some((authority) => isSignedBy(x509, authority))) return 'not signed by a trusted authority';
  if (!x509.keyUsage?.includes(EXTENDED_USAGE[LEAVES[role].purpose])) return `not for a ${LEAVES[role].purpose}`;
  const names = dnsNames.map((name) => `DNS:${name}`).join(', ');
  return (x509.subjectAltName ?? '') === names ? undefined : 'DNS names changed';
}

/** Why one that can be used is due to be replaced. By a new authority only once that is trusted everywhere, or there is no more time. */
function dueLeaf(
  x509: X509Certificate,
  signer: X509Certificate,
  policy: RenewalPolicy,
  nowMs: number,
): string | undefined {
  const leftMs = expiresMs(x509) - nowMs;
  const signed = isSignedBy(x509, signer);
  if (signed) return leftMs < policy.renewBeforeMs ? `expires on ${day(x509)}` : undefined;
  const known = ageMs(signer, nowMs) >= PROPAGATION_MS;
  return known || leftMs < PROPAGATION_MS ? 'a newer authority signs' : undefined;
}

function renewedTo(
  current: SecretData,
  { certificate, key, x509 }: KeyPair,
  bundle: string,
  cause: string | undefined = current['ca.crt'] === bundle ? undefined : 'trusted authorities changed',
): RenewedSecret {
  const data = { 'ca.crt': bundle, 'tls.crt': certificate, 'tls.key': key };
  return { data, cause, expiresMs: expiresMs(x509) };
}

function checkClock(role: string, pair: KeyPair | string, nowMs: number): void {
  if (typeof pair === 'string' || pair.x509.validFromDate.getTime() <= nowMs) return;
  const now = new Date(nowMs).toISOString();
  throw new CertificateError(
    `the ${role}'s certificate is valid only from ${pair.x509.validFrom}, and here it is ${now}: correct the clock of this node (NTP)`,
  );
}

function keyPairOf({ certificate, key }: PemPair): KeyPair {
  return readKeyPair({ 'ca.crt': '', 'tls.crt': certificate, 'tls.key': key }) as KeyPair;
}

/** Since it was issued. */
function ageMs(x509: X509Certificate, nowMs: number): number {
  return nowMs - (x509.validFromDate.getTime() + CLOCK_SKEW_MS);
}

function expiresMs(x509: X509Certificate): number {
  return x509.validToDate.getTime();
}

function day(x509: X509Certificate): string {
  return x509.validToDate.toISOString().slice(0, 10);
}
