import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** The flags that say how the stream is protected. An empty file name is none. */
export interface TlsFlags {
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
  /** Plain text, also beyond loopback. */
  readonly insecure: boolean;
}

/** Certificate or key files, or their flags, that cannot be used. The text names the file and what to do. */
export class TlsError extends Error {
  override readonly name = 'TlsError';
}

/** What the files hold, checked. */
export interface TlsMaterial {
  /** Our own certificate (with its chain) and its key, PEM; undefined where there is none. */
  readonly own: { readonly cert: Buffer; readonly key: Buffer; readonly expiresMs: number } | undefined;
  /** Certificates of those who may sign the other side's, PEM. */
  readonly ca: Buffer | undefined;
}

/** Whether the flags ask for TLS. @throws TlsError where they contradict each other */
export function wantsTls({ certFile, keyFile, caFile, insecure }: TlsFlags): boolean {
  if ((certFile === '') !== (keyFile === ''))
    throw new TlsError('tls-cert-file and tls-key-file belong together: set both or none');
  const files = certFile !== '' || caFile !== '';
  if (files && insecure)
    throw new TlsError('insecure and the tls-*-file flags contradict each other: remove one or the others');
  return files;
}

/**
 * Reads and checks the files that the flags name: they exist, parse, are valid now, and the key is the certificate's.
 * @throws TlsError for the first that is not so
 */
export function readTlsFiles(flags: TlsFlags, nowMs: number): TlsMaterial {
  wantsTls(flags);
  try {
    return readOnce(flags, nowMs);
  } catch {
    // Kubernetes swaps all files of a Secret at once, and that may have been between two of them.
    return readOnce(flags, nowMs);
  }
}

function readOnce(flags: TlsFlags, nowMs: number): TlsMaterial {
  const ca = flags.caFile === '' ? undefined : read('tls-ca-file', flags.caFile);
  if (ca !== undefined) checkBundle(flags.caFile, ca, nowMs);
  if (flags.certFile === '') return { own: undefined, ca };
  const cert = read('tls-cert-file', flags.certFile);
  const key = read('tls-key-file', flags.keyFile);
  const parsed = parse('tls-cert-file', flags.certFile, cert);
  checkDates('tls-cert-file', flags.certFile, parsed, nowMs);
  if (!parsed.checkPrivateKey(privateKey(flags.keyFile, key)))
    throw new TlsError(`tls-key-file ${flags.keyFile} is not the key of the certificate in ${flags.certFile}`);
  return { own: { cert, key, expiresMs: Date.parse(parsed.validTo) }, ca };
}

function read(flag: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new TlsError(`${flag} ${file} cannot be read: ${messageOf(error)}`);
  }
}

/** Every certificate of a bundle parses, and one at least is valid: old ones stay in bundles while new ones come. */
function checkBundle(file: string, bundle: Buffer, nowMs: number): void {
  const blocks = bundle.toString('latin1').match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g);
  // Where there is none, the whole text fails by name.
  const parsed = (blocks ?? [bundle]).map((pem) => parse('tls-ca-file', file, pem));
  if (!parsed.some((one) => Date.parse(one.validTo) >= nowMs)) checkDates('tls-ca-file', file, parsed[0]!, nowMs);
}

function parse(flag: string, file: string, pem: string | Buffer): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new TlsError(`${flag} ${file} holds no certificate in PEM form: ${messageOf(error)}`);
  }
}

function checkDates(flag: string, file: string, { validFrom, validTo }: X509Certificate, nowMs: number): void {
  if (Date.parse(validTo) < nowMs)
    throw new TlsError(`${flag} ${file}: the certificate expired on ${validTo}: renew it`);
  if (Date.parse(validFrom) > nowMs)
    throw new TlsError(`${flag} ${file}: the certificate is valid only from ${validFrom}: check the clock`);
}

function privateKey(file: string, pem: Buffer): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(pem);
  } catch {
    // The parser's own words might show something of the key.
    throw new TlsError(`tls-key-file ${file} holds no private key in PEM form without a password`);
  }
}

/** `ENOENT` and the like where the system says so, else the words of who threw. */
function messageOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}
