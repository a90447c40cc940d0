/** Files of a TLS client. They are read for every request, so a rotated certificate needs no restart. */
interface TlsSettings {
  /** PEM: the authorities that may have signed the server's certificate, instead of the system's. */
  readonly caFile?: string | undefined;
  /** PEM: the client's certificate and its key; both or none. */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** Name that the server's certificate must carry, where it is not the host of the URL. */
  readonly serverName?: string | undefined;
  /** Accepts any certificate. */
  readonly insecureSkipVerify?: boolean | undefined;
}

/** How a sink reaches its receiver over HTTP. What can hold a secret: `url`, `proxyUrl`, `headers`. */
export interface HttpSettings {
  /** `http:` or `https:`. A user and password in it are sent as basic authentication. */
  readonly url: string;
  /** Sent with every request; they win over what the sink sets itself. */
  readonly headers: Readonly<Record<string, string>>;
  /** For a whole request, from connecting to the end of the response. */
  readonly timeoutMs: number;
  readonly tls?: TlsSettings | undefined;
  readonly basicAuth?: { readonly username: string; readonly passwordFile: string } | undefined;
  readonly bearerTokenFile?: string | undefined;
  /** Wins over `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`. */
  readonly proxyUrl?: string | undefined;
  /** Where the settings are from a file: how they are written there. */
  readonly written?: WrittenSettings | undefined;
}

/** What may be shown of settings in which `${VAR}` was replaced, and what may not. */
export interface WrittenSettings {
  /** As in the file, `${VAR}` not replaced. */
  readonly url: string;
  readonly proxyUrl: string | undefined;
  /** The values of the variables. */
  readonly secrets: readonly string[];
}

/**
 * A URL as it may be shown: without what can be a secret wherever it is, its user and password, its query and fragment. Those that only a
 * parser of URLs would take for one (`https:\\user:password@host`) are no exception.
 */
export function maskUrl(url: string): string {
  return url.replace(/^([a-z]+:[\\/]*)?.*@/is, '$1***@').replace(/([?#]).*/s, '$1***');
}

/** Something wrong with a setting. */
export interface SettingIssue {
  /** Keys from the sink's settings down: `['labels', 'proto']`. */
  readonly path: readonly string[];
  /** What is wrong and what was expected; never the value of a header or URL. */
  readonly message: string;
}

/** `timeoutMs` where none is set. */
export const DEFAULT_TIMEOUT_MS = 30_000;

/** Hop-by-hop headers: the client sets them, or refuses to. */
const CONNECTION_HEADERS = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/** What is wrong with the settings beyond their types, everything at once. */
export function checkHttpSettings(settings: HttpSettings): SettingIssue[] {
  return [
    ...checkUrl(['url'], settings.url),
    ...(settings.proxyUrl === undefined ? [] : checkUrl(['proxyUrl'], settings.proxyUrl)),
    ...checkHeaders(settings.headers),
    ...checkAuthentication(settings),
    ...checkTls(settings.tls),
  ];
}

function checkUrl(path: readonly string[], text: string): SettingIssue[] {
  const url = URL.parse(text);
  if (url === null) return [{ path, message: 'not a URL, expected http://HOST[:PORT]/PATH or https://...' }];
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    // The value may come from a variable that holds a secret: it is not repeated.
    return [{ path, message: 'expected a URL that begins with http:// or https://' }];
  try {
    decodeURIComponent(url.username + url.password);
  } catch {
    return [{ path, message: 'its user or password holds a % that begins no escape: write it as %25' }];
  }
  return [];
}

function checkHeaders(headers: Readonly<Record<string, string>>): SettingIssue[] {
  const issues: SettingIssue[] = [];
  for (const [name, value] of Object.entries(headers)) {
    const path = ['headers', name];
    // RFC 9110, 5.6.2 (token) and 5.5 (field value).
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) issues.push({ path, message: 'not the name of an HTTP header' });
    else if (CONNECTION_HEADERS.has(name.toLowerCase()))
      issues.push({ path, message: 'belongs to the connection and cannot be set' });
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value))
      issues.push({ path, message: 'holds characters that a header cannot carry, such as a line end' });
  }
  return issues;
}

function checkAuthentication(settings: HttpSettings): SettingIssue[] {
  const url = URL.parse(settings.url);
  const ways = [
    Object.keys(settings.headers).some((name) => name.toLowerCase() === 'authorization') && 'an Authorization header',
    url !== null && url.username !== '' && 'a user in url',
    settings.basicAuth !== undefined && 'basicAuth',
    settings.bearerTokenFile !== undefined && 'bearerTokenFile',
  ].filter((way) => way !== false);
  if (ways.length < 2) return [];
  return [{ path: [], message: `expected one way to authenticate, got ${ways.join(' and ')}` }];
}

function checkTls(tls: TlsSettings | undefined): SettingIssue[] {
  if (tls === undefined || (tls.certFile === undefined) === (tls.keyFile === undefined)) return [];
  return [{ path: ['tls'], message: 'certFile and keyFile need each other: set both or none' }];
}
