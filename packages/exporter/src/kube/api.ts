import { type ClientRequest, type IncomingMessage, request as plainRequest } from 'node:http';
import { type RequestOptions, request as tlsRequest } from 'node:https';
import { createGunzip } from 'node:zlib';
import type { KubeAccess } from './access.ts';
import type { ClientConfig } from './client-config.ts';
import { failureOfResponse, KubeFailure, MAX_TEXT, type ResourceAttributes, toKubeFailure } from './failure.ts';
import { ListItems } from './list-items.ts';
import { loadClientConfig } from './load-client-config.ts';

/** Token files, certificates and kubeconfig are read again so often, and after a 401 or a TLS failure. */
const RELOAD_MS = 60_000;
/** A response that is not streamed is not read beyond. */
const MAX_BODY_BYTES = 1024 * 1024;
/** Of the response of a failure only the beginning is read. */
const MAX_FAILURE_BYTES = 64 * 1024;

/** One request. */
interface ApiRequest {
  readonly attributes: ResourceAttributes;
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: object;
  /** How a body is sent; POST by default. */
  readonly method?: 'POST' | 'PUT';
  /** It fails when nothing comes for so long, milliseconds. */
  readonly idleTimeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * HTTP requests to one API server. `ClientConfig` has its address and our credentials. The requests are not those of
 * `@kubernetes/client-node`: its typed calls build every object of a list in full, and its watch reports neither why it was refused nor
 * what Retry-After asks for.
 */
export class KubeApi {
  readonly #access: KubeAccess;
  readonly #userAgent: string;
  #loaded: { readonly config: ClientConfig; readonly atMs: number } | undefined;

  constructor(access: KubeAccess, userAgent: string) {
    this.#access = access;
    this.#userAgent = userAgent;
  }

  /** The body of a response as it comes. @throws KubeFailure, also while it is read */
  async *stream(request: ApiRequest): AsyncGenerator<Buffer, void> {
    const { response, idleTimer } = await this.#send(request);
    try {
      for await (const chunk of unzipped(response)) {
        idleTimer.refresh();
        yield chunk as Buffer;
      }
    } catch (error) {
      throw toKubeFailure(response.errored ?? error);
    } finally {
      clearTimeout(idleTimer);
      response.destroy();
    }
  }

  /** A whole response, JSON. @throws KubeFailure */
  async json(request: ApiRequest): Promise<unknown> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of this.stream(request)) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES)
        throw new KubeFailure('unexpected', `the response to ${request.path} is longer than ${MAX_BODY_BYTES} bytes`);
    }
    return parse(request, Buffer.concat(chunks).toString('utf8'));
  }

  /** A list: its items one by one as they come, but for those that are too large. @returns the rest of the list. @throws KubeFailure */
  async list(request: ApiRequest, onItem: (item: unknown) => void, onTooLarge: () => void): Promise<unknown> {
    const list = new ListItems();
    for await (const chunk of this.stream(request)) for (const item of list.push(chunk)) onItem(parse(request, item));
    for (let i = 0; i < list.skipped; i++) onTooLarge();
    return parse(request, list.end());
  }

  async #send(request: ApiRequest): Promise<{ response: IncomingMessage; idleTimer: NodeJS.Timeout }> {
    const { url, options } = await this.#prepare(request);
    const send = url.protocol === 'http:' ? plainRequest : tlsRequest;
    const method = request.body === undefined ? 'GET' : (request.method ?? 'POST');
    const sent = send(url, { ...options, method, signal: request.signal });
    const seconds = Math.round(request.idleTimeoutMs / 1000);
    const timeout = new KubeFailure('timeout', `nothing came from the API server for ${seconds} s`);
    let response: IncomingMessage | undefined;
    const idleTimer = setTimeout(() => (response ?? sent).destroy(timeout), request.idleTimeoutMs);
    try {
      response = await responseTo(sent, request.body);
    } catch (error) {
      clearTimeout(idleTimer);
      throw this.#failed(toKubeFailure(error));
    }
    idleTimer.refresh();
    // An error of the request ends the response, and so reaches its reader.
    const answered = response;
    sent.on('error', (error) => answered.destroy(error));
    const { statusCode = 0, headers } = response;
    if (statusCode >= 200 && statusCode < 300) return { response, idleTimer };
    const body = await readBeginning(response);
    clearTimeout(idleTimer);
    throw this.#failed(failureOfResponse(request.attributes, statusCode, body, headers['retry-after']));
  }

  async #prepare({ path, query = {} }: ApiRequest): Promise<{ url: URL; options: RequestOptions }> {
    const nowMs = performance.now();
    if (this.#loaded === undefined || nowMs - this.#loaded.atMs >= RELOAD_MS)
      this.#loaded = { config: await loadClientConfig(this.#access), atMs: nowMs };
    const { config } = this.#loaded;
    try {
      const options = await config.requestOptions();
      const url = new URL(`${config.server}${path}`);
      for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
      const headers = {
        ...options.headers,
        Accept: 'application/json',
        'Accept-Encoding': 'gzip',
        'User-Agent': this.#userAgent,
      };
      return { url, options: { ...options, headers } };
    } catch (error) {
      this.#loaded = undefined;
      // For a command that makes tokens this is all that it wrote to stderr.
      const text = (error as Error).message.replace(/\s+/g, ' ').slice(0, MAX_TEXT);
      throw new KubeFailure('config', `cannot make a request from the kubeconfig or service account: ${text}`);
    }
  }

  /** Newer files may have better credentials. */
  #failed(failure: KubeFailure): KubeFailure {
    if (failure.reason === 'unauthorized' || failure.reason === 'tls') this.#loaded = undefined;
    return failure;
  }
}

function parse({ path }: ApiRequest, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const beginning = JSON.stringify(text.slice(0, 60));
    const advice = 'is this the address of a Kubernetes API server?';
    throw new KubeFailure('unexpected', `the response to ${path} is not JSON: it begins with ${beginning}; ${advice}`);
  }
}

function responseTo(request: ClientRequest, body: object | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', reject);
    if (body !== undefined) request.setHeader('Content-Type', 'application/json');
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** API servers compress lists beyond 128 KiB for who asks: a tenth of the bytes. Watches come as they are. */
function unzipped(response: IncomingMessage): AsyncIterable<Buffer> {
  if (response.headers['content-encoding'] !== 'gzip') return response;
  const gunzip = createGunzip();
  response.once('error', (error) => gunzip.destroy(error));
  return response.pipe(gunzip);
}

async function readBeginning(response: IncomingMessage): Promise<string> {
  let text = '';
  try {
    for await (const chunk of unzipped(response)) {
      text += (chunk as Buffer).toString('utf8');
      if (text.length > MAX_FAILURE_BYTES) break;
    }
  } catch {
    // What has come of it is enough.
  }
  return text;
}
