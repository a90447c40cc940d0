import type { X509Certificate } from 'node:crypto';
import { type Contents, type Holdings, isSignedBy, type Pair, type Role, readBundle, readPair } from './holdings.ts';
import { CURVE, EXTENDED_USAGE, issue, type Pem } from './x509.ts';

/** Certificates are valid from so long before they are made: the clocks of nodes differ. */
export const CLOCK_SKEW_MS = 60 * 60_000;
/**
 * How long an authority is trusted by all before it signs, and how long the one before is trusted after its last certificate was
 * replaced. The kubelet renews mounted Secrets within about two minutes, where it can; a program that runs daily waits a day.
 */
export const SPREAD_MS = 12 * 60 * 60_000;

/** What certificates are made by. Times in milliseconds. */
export interface Terms {
  /** Names by which collectors reach the exporter. */
  readonly dnsNames: readonly string[];
  /** How long the exporter's and the collectors' certificates are valid. */
  readonly validityMs: number;
  /** They are replaced when they are valid no longer than that. */
  readonly renewBeforeMs: number;
  /** How long an authority is valid. It is replaced as soon as a certificate that is made and replaced in time might outlive it. */
  readonly authorityValidityMs: number;
}

/** What a Secret is to hold. */
export interface Renewed {
  readonly contents: Contents;
  /** Why it differs from what it held; undefined: it does not. */
  readonly because: string | undefined;
  readonly expiresMs: number;
}

/** What is held is not to be touched, because something else must be put right first. The text says what. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
}

/** The two ends. */
const LEAVES = {
  exporter: { purpose: 'server', commonName: 'egressd-exporter' },
  collector: { purpose: 'client', commonName: 'egressd-collector' },
} as const;
type Leaf = keyof typeof LEAVES;

/**
 * What the three Secrets are to hold, given what they hold. Nothing is remembered but that: an authority is replaced in steps, one
 * a run, and each run sees in the certificates which step it is at.
 *
 *   held before          1. introduced        2. signs, 12 h later     3. alone, 12 h later
 *   trusted: old         trusted: new, old    trusted: new, old        trusted: new
 *   leaves by old        leaves by old        leaves by new            leaves by new
 *
 * The key of the old one is thrown away in step 1. So at no time is there a certificate in use that the other end, which may see
 * its Secret later, does not trust.
 * @throws CertificateError where a clock is wrong
 */
export async function renew(held: Holdings, terms: Terms, nowMs: number): Promise<Readonly<Record<Role, Renewed>>> {
  for (const [role, contents] of Object.entries(held)) checkClock(role, readPair(contents), nowMs);
  const signer = await authorityFor(held.authority, terms, nowMs);
  const trusted = trustedNow(held, signer.pair, nowMs);
  const bundle = trusted.map(String).join('');
  const leaf = (role: Leaf) => leafFor(role, held[role], { signer: signer.pair, trusted, bundle }, terms, nowMs);
  return {
    authority: renewedTo(held.authority, signer.pair, bundle, signer.because),
    exporter: await leaf('exporter'),
    collector: await leaf('collector'),
  };
}

/** The authority that signs from now on: the one that is held, or a new one, and why. */
async function authorityFor(
  contents: Contents,
  { validityMs, renewBeforeMs, authorityValidityMs }: Terms,
  nowMs: number,
): Promise<{ pair: Pair; because: string | undefined }> {
  const held = readPair(contents);
  const because = typeof held === 'string' ? held : unfitAuthority(held.x509, validityMs + renewBeforeMs, nowMs);
  if (typeof held !== 'string' && because === undefined) return { pair: held, because };
  const made = await issue({
    purpose: 'authority',
    // Two authorities that are trusted at a time must not look the same to a reader.
    commonName: `egressd-authority ${new Date(nowMs).toISOString().slice(0, 19)}Z`,
    dnsNames: [],
    notBeforeMs: nowMs - CLOCK_SKEW_MS,
    notAfterMs: nowMs + authorityValidityMs,
  });
  return { pair: pairOf(made), because };
}

function unfitAuthority(x509: X509Certificate, neededMs: number, nowMs: number): string | undefined {
  if (!x509.ca || x509.publicKey.asymmetricKeyDetails?.namedCurve !== CURVE)
    return 'tls.crt was not the certificate of an authority of ours';
  return expiresMs(x509) < nowMs + neededMs ? `it expires on ${day(x509)}` : undefined;
}

/** Whom both ends trust: the signer, and those before it while anybody may still see a certificate of theirs. */
function trustedNow(held: Holdings, { x509: signer }: Pair, nowMs: number): X509Certificate[] {
  const alone = [held.exporter, held.collector].every((contents) => {
    const leaf = readPair(contents);
    return typeof leaf !== 'string' && isSignedBy(leaf.x509, signer) && ageMs(leaf.x509, nowMs) >= SPREAD_MS;
  });
  const before = readBundle(held.authority['ca.crt']).filter(
    (one) => one.fingerprint256 !== signer.fingerprint256 && expiresMs(one) > nowMs,
  );
  return alone ? [signer] : [signer, ...before];
}

/** Who signs, and who is trusted. */
interface Authorities {
  readonly signer: Pair;
  readonly trusted: readonly X509Certificate[];
  readonly bundle: string;
}

async function leafFor(
  role: Leaf,
  contents: Contents,
  { signer, trusted, bundle }: Authorities,
  terms: Terms,
  nowMs: number,
): Promise<Renewed> {
  const held = readPair(contents);
  const dnsNames = role === 'exporter' ? terms.dnsNames : [];
  const unfit = typeof held === 'string' ? held : unfitLeaf(role, held.x509, trusted, dnsNames, nowMs);
  const because = unfit ?? dueLeaf((held as Pair).x509, signer.x509, terms, nowMs);
  if (because === undefined) return renewedTo(contents, held as Pair, bundle, undefined);
  const { purpose, commonName } = LEAVES[role];
  const notAfterMs = Math.min(nowMs + terms.validityMs, expiresMs(signer.x509));
  const wanted = { purpose, commonName, dnsNames, notBeforeMs: nowMs - CLOCK_SKEW_MS, notAfterMs };
  return renewedTo(contents, pairOf(await issue(wanted, signer)), bundle, because);
}

/** Why a certificate cannot do its work. */
function unfitLeaf(
  role: Leaf,
  x509: X509Certificate,
  trusted: readonly X509Certificate[],
  dnsNames: readonly string[],
  nowMs: number,
): string | undefined {
  if (expiresMs(x509) <= nowMs) return `it expired on ${day(x509)}`;
  if (!trusted.some((authority) => isSignedBy(x509, authority))) return 'none of the authorities signed it';
  if (!x509.keyUsage?.includes(EXTENDED_USAGE[LEAVES[role].purpose])) return `it is not for a ${LEAVES[role].purpose}`;
  const names = dnsNames.map((name) => `DNS:${name}`).join(', ');
  return (x509.subjectAltName ?? '') === names ? undefined : 'its names have changed';
}

/** Why one that works should be replaced, and may: where its authority is new, not everybody may trust that already. */
function dueLeaf(x509: X509Certificate, signer: X509Certificate, terms: Terms, nowMs: number): string | undefined {
  const leftMs = expiresMs(x509) - nowMs;
  const signed = isSignedBy(x509, signer);
  if (signed) return leftMs < terms.renewBeforeMs ? `it expires on ${day(x509)}` : undefined;
  const known = ageMs(signer, nowMs) >= SPREAD_MS;
  return known || leftMs < SPREAD_MS ? 'a newer authority signs' : undefined;
}

function renewedTo(held: Contents, { certificate, key, x509 }: Pair, bundle: string, because?: string): Renewed {
  const contents = { 'ca.crt': bundle, 'tls.crt': certificate, 'tls.key': key };
  const reason = because ?? (held['ca.crt'] === bundle ? undefined : 'other authorities are trusted');
  return { contents, because: reason, expiresMs: expiresMs(x509) };
}

function checkClock(role: string, pair: Pair | string, nowMs: number): void {
  if (typeof pair === 'string' || pair.x509.validFromDate.getTime() <= nowMs) return;
  const now = new Date(nowMs).toISOString();
  throw new CertificateError(
    `the ${role}'s certificate is valid only from ${pair.x509.validFrom}, and here it is ${now}: set the clock of this node right (NTP)`,
  );
}

function pairOf({ certificate, key }: Pem): Pair {
  return readPair({ 'ca.crt': '', 'tls.crt': certificate, 'tls.key': key }) as Pair;
}

/** Since it was made. */
function ageMs(x509: X509Certificate, nowMs: number): number {
  return nowMs - (x509.validFromDate.getTime() + CLOCK_SKEW_MS);
}

function expiresMs(x509: X509Certificate): number {
  return x509.validToDate.getTime();
}

function day(x509: X509Certificate): string {
  return x509.validToDate.toISOString().slice(0, 10);
}
