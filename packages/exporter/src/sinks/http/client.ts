import { isIP } from 'node:net';
import { Agent, type Dispatcher, ProxyAgent, request } from 'undici';
import { type Credentials, CredentialsError, readCredentials, userSecrets } from './credentials.ts';
import { explainError, type HttpFailureKind } from './failure.ts';
import { bareHost, type Environment, proxyFor } from './proxy.ts';
import { quoteAnswer, quoteText } from './redact.ts';
import { SecretMask } from './secret-mask.ts';
import { type HttpSettings, maskUrl } from './settings.ts';

/** Longest connect time-out; a shorter `timeoutMs` wins. */
const MAX_CONNECT_MS = 10_000;
/**
 * How long an idle connection is kept: for the requests of one frame, not for the next interval. Receivers and balancers like to
 * close after a minute, and a request that meets the close may or may not have been stored.
 */
const KEEP_ALIVE_MS = 10_000;
/** As much of a response's body as is read. */
const MAX_RESPONSE_BYTES = 16 * 1024;

/** What a receiver answered. */
export interface HttpResponse {
  readonly status: number;
  /** Header names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The beginning of the body, fit for a log line: no secrets. */
  readonly text: string;
  /** The beginning of the body, as it is. */
  readonly body: Buffer;
  /** Makes a text out of the body fit for a log line. */
  readonly quote: (text: string) => string;
  /** The body is an HTML page. */
  readonly isHtml: boolean;
  /** Where a redirect leads, fit for a log line; undefined: nowhere. */
  readonly redirect: string | undefined;
}

/** No response. The message says what, where and what to do; no secrets. */
export interface HttpFailure {
  readonly failure: HttpFailureKind;
  readonly message: string;
}

/**
 * Sends bodies to one URL over kept-alive connections. Redirects are never followed: they would carry credentials and flows to wherever
 * a response says.
 */
export class HttpClient {
  /** The URL as it is written in the file, without secrets: for the log. */
  readonly displayUrl: string;
  readonly #settings: HttpSettings;
  readonly #url: URL;
  readonly #proxy: string | undefined;
  #dispatcher: Dispatcher | undefined;
  /** Contents of the TLS files that the dispatcher was made with, to notice a rotation. */
  #files = '';

  /** @throws Error where the environment names an invalid proxy */
  constructor(settings: HttpSettings, environment: Environment) {
    this.#settings = settings;
    this.#url = new URL(settings.url);
    this.#proxy = settings.proxyUrl ?? proxyFor(this.#url, environment);
    if (this.#proxy !== undefined && !/^https?:$/.test(URL.parse(this.#proxy)?.protocol ?? ''))
      throw new Error('HTTPS_PROXY or HTTP_PROXY: expected http://HOST[:PORT] or https://..., or nothing');
    this.displayUrl = maskUrl(settings.written?.url ?? settings.url);
    // They travel as a header; undici takes no URL that holds them.
    this.#url.username = '';
    this.#url.password = '';
  }

  /** One attempt, at most `timeoutMs` long. Never throws. */
  async send(
    method: string,
    headers: Readonly<Record<string, string>>,
    body: Uint8Array,
    signal: AbortSignal,
  ): Promise<HttpResponse | HttpFailure> {
    const { timeoutMs } = this.#settings;
    const timeout = AbortSignal.timeout(timeoutMs);
    let mask = new SecretMask([]);
    try {
      const credentials = await readCredentials(this.#settings);
      mask = new SecretMask([...credentials.secrets, ...proxySecrets(this.#proxy)]);
      const response = await request(this.#url, {
        method: method as Dispatcher.HttpMethod,
        headers: mergeHeaders(headers, credentials.authorization, this.#settings.headers),
        body,
        dispatcher: this.#dispatcherFor(credentials),
        signal: AbortSignal.any([signal, timeout]),
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
      });
      const start = await readStart(response.body);
      const text = start.toString('utf8');
      const quote = (quoted: string) => quoteAnswer(quoted, mask);
      return {
        status: response.statusCode,
        headers: response.headers,
        text: quote(text),
        body: start,
        quote,
        isHtml: /^\s*<(!doctype|html)/i.test(text),
        redirect: redirectOf(response.headers.location, mask),
      };
    } catch (error) {
      if (signal.aborted) return { failure: 'stopped', message: 'cancelled: the exporter shuts down' };
      if (timeout.aborted) return this.#failure('timeout', `no complete response within ${timeoutMs} ms`);
      if (error instanceof CredentialsError) return { failure: 'credentials', message: error.message };
      const { failure, text } = explainError(error);
      return this.#failure(failure, quoteText(text, mask));
    }
  }

  async close(): Promise<void> {
    await this.#dispatcher?.destroy();
    this.#dispatcher = undefined;
  }

  #dispatcherFor(credentials: Credentials): Dispatcher {
    const { ca, cert, key } = credentials;
    const files = JSON.stringify([ca, cert, key]);
    if (this.#dispatcher !== undefined && files === this.#files) return this.#dispatcher;
    // The old one's connections end once they are idle.
    this.#dispatcher?.close().catch(() => {});
    this.#files = files;
    this.#dispatcher = this.#connectWith({ ca, cert, key });
    return this.#dispatcher;
  }

  #connectWith(files: Pick<Credentials, 'ca' | 'cert' | 'key'>): Dispatcher {
    const { tls, timeoutMs } = this.#settings;
    const host = bareHost(this.#url);
    const servername = tls?.serverName ?? (isIP(host) === 0 ? host : undefined);
    const connect = {
      ...(files.ca === undefined ? {} : { ca: files.ca }),
      ...(files.cert === undefined ? {} : { cert: files.cert, key: files.key }),
      ...(servername === undefined ? {} : { servername }),
      rejectUnauthorized: tls?.insecureSkipVerify !== true,
      timeout: Math.min(timeoutMs, MAX_CONNECT_MS),
    };
    const common = { connections: 1, keepAliveTimeout: KEEP_ALIVE_MS, allowH2: false };
    if (this.#proxy === undefined) return new Agent({ ...common, connect });
    return new ProxyAgent({ ...common, uri: this.#proxy, requestTls: connect, connectTimeout: connect.timeout });
  }

  #failure(failure: HttpFailureKind, text: string): HttpFailure {
    const { written, proxyUrl } = this.#settings;
    const proxy = (proxyUrl === undefined ? undefined : written?.proxyUrl) ?? this.#proxy;
    const by = proxy === undefined ? '' : ` through the proxy ${maskUrl(proxy)}`;
    return { failure, message: `${this.displayUrl}${by}: ${text}` };
  }
}

/** The user and password of a proxy, as they are and decoded. */
function proxySecrets(proxy: string | undefined): string[] {
  return proxy === undefined ? [] : userSecrets(new URL(proxy));
}

/** The target of a redirect, without what may be a secret. */
function redirectOf(location: string | string[] | undefined, mask: SecretMask): string | undefined {
  const url = URL.parse(String(Array.isArray(location) ? location[0] : location));
  return url === null ? undefined : quoteText(`${url.origin}${url.pathname}`, mask);
}

/** Later headers win over earlier ones of the same name, however it is written. */
function mergeHeaders(
  own: Readonly<Record<string, string>>,
  authorization: string | undefined,
  user: Readonly<Record<string, string>>,
): Record<string, string> {
  const merged: Record<string, string> = {};
  for (const [name, value] of Object.entries(own)) merged[name.toLowerCase()] = value;
  if (authorization !== undefined) merged.authorization = authorization;
  for (const [name, value] of Object.entries(user)) merged[name.toLowerCase()] = value;
  return merged;
}

/**
 * The beginning of a body. A longer one is cut off, and its connection closed. One that breaks off by itself does not matter: the
 * status has said what became of the request.
 */
async function readStart(body: Dispatcher.ResponseData['body']): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of body) {
      chunks.push(chunk as Buffer);
      length += (chunk as Buffer).length;
      if (length >= MAX_RESPONSE_BYTES) break;
    }
  } catch {}
  return Buffer.concat(chunks).subarray(0, MAX_RESPONSE_BYTES);
}
