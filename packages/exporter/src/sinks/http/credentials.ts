import { readFile } from 'node:fs/promises';
import type { HttpSettings } from './settings.ts';

/** Credentials of a request, as read from files and settings. */
export interface Credentials {
  /** The `Authorization` header; undefined: none. */
  readonly authorization: string | undefined;
  /** PEM. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  /** What must not be logged. */
  readonly secrets: readonly string[];
}

/** Longest file that is accepted: far above any chain of certificates. */
const MAX_FILE_BYTES = 1024 * 1024;

/** A credentials file that cannot be used. The message names it. */
export class CredentialsError extends Error {
  override readonly name = 'CredentialsError';
}

/**
 * Reads the files that the settings name. Called for every request, so that a rotated token or certificate is used from the next one.
 * @throws CredentialsError
 */
export async function readCredentials(settings: HttpSettings): Promise<Credentials> {
  const { tls, basicAuth, bearerTokenFile } = settings;
  const [ca, cert, key, password, token] = await Promise.all([
    readOptional('tls.caFile', tls?.caFile),
    readOptional('tls.certFile', tls?.certFile),
    readOptional('tls.keyFile', tls?.keyFile),
    readOptional('basicAuth.passwordFile', basicAuth?.passwordFile),
    readOptional('bearerTokenFile', bearerTokenFile),
  ]);
  const url = new URL(settings.url);
  const tenants = new Set(Object.entries(settings.headers).flatMap(([name, value]) => (isTenant(name) ? [value] : [])));
  const variables = (settings.written?.secrets ?? []).filter((value) => !tenants.has(value));
  const secrets = [...headerSecrets(settings.headers), ...urlSecrets(url), ...variables];
  if (token !== undefined) {
    const bearer = checkHeaderValue('bearerTokenFile', token.trim());
    return { authorization: `Bearer ${bearer}`, ca, cert, key, secrets: [...secrets, bearer] };
  }
  const user = basicAuth?.username ?? decodeURIComponent(url.username);
  // The final line end is the editor's, not the password's.
  const secret = password?.replace(/\r?\n$/, '') ?? decodeURIComponent(url.password);
  if (user === '' && secret === '') return { authorization: undefined, ca, cert, key, secrets };
  // RFC 7617.
  const basic = Buffer.from(`${user}:${secret}`).toString('base64');
  return { authorization: `Basic ${basic}`, ca, cert, key, secrets: [...secrets, secret, basic] };
}

/** Whether a header names a tenant: no secret, and what a receiver says of its limits is of no use without it. */
function isTenant(name: string): boolean {
  return /^(x-scope-orgid|thanos-tenant|x-(\w+-)*tenant(-\w+)*|accountid|projectid)$/i.test(name);
}

/** The values of headers, but for tenants, also without the scheme before them: `Bearer SECRET`, and what Basic encodes. */
function headerSecrets(headers: Readonly<Record<string, string>>): string[] {
  return Object.entries(headers).flatMap(([name, value]) => {
    if (isTenant(name)) return [];
    const [, scheme = '', secret = ''] = /^\s*(\S+)\s+(\S.*)$/.exec(value) ?? [];
    const basic = /^basic$/i.test(scheme) ? Buffer.from(secret, 'base64').toString() : '';
    return [value, secret, basic, basic.slice(basic.indexOf(':') + 1)];
  });
}

/** Of a query without values the keys. */
function urlSecrets(url: URL): string[] {
  const query = [...url.searchParams].map(([key, value]) => value || key);
  return [...userSecrets(url), ...query, url.hash.slice(1)];
}

/** The password of a URL, and a user that stands alone, as some receivers take a token: as they are, and decoded. */
export function userSecrets({ username, password }: URL): string[] {
  const secret = password === '' ? username : password;
  try {
    return [secret, decodeURIComponent(secret)];
  } catch {
    // A proxy of the environment may hold a % that begins no escape.
    return [secret];
  }
}

async function readOptional(setting: string, path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new CredentialsError(
      `${setting}: ${path} cannot be read (${code}): check the path, the mount and its permissions`,
    );
  }
  if (text.length > MAX_FILE_BYTES)
    throw new CredentialsError(`${setting}: ${path} is longer than ${MAX_FILE_BYTES} bytes`);
  if (text.trim() === '') throw new CredentialsError(`${setting}: ${path} is empty`);
  return text;
}

function checkHeaderValue(setting: string, value: string): string {
  if (/^[\x21-\x7e]+$/.test(value)) return value;
  throw new CredentialsError(`${setting}: has more than one line, or characters that are not allowed in a header`);
}
