import { type ClientRequest, type IncomingMessage, request as plainRequest } from 'node:http';
import { type RequestOptions, request as tlsRequest } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { type KubeAccess, loadConfig } from './access.ts';
import { type Asked, failureFrom, failureOf, KubeFailure, MAX_SAID } from './failure.ts';
import { ListItems } from './list-items.ts';

/** Token files, certificates and kubeconfig are read again so often, and after any failure to be let in. */
export const RELOAD_MS = 60_000;
/** An answer that is not streamed is not read beyond. */
const MAX_BODY_BYTES = 1024 * 1024;
/** Of an answer that is a failure only its beginning is of interest. */
const MAX_FAILURE_BYTES = 64 * 1024;

/** One request. */
export interface Call {
  readonly asked: Asked;
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: object;
  /** How a body is sent; POST unless said. */
  readonly method?: 'POST' | 'PUT';
  /** It fails where nothing comes for so long. */
  readonly silenceMs: number;
  readonly signal: AbortSignal;
}

/**
 * Requests to one API server. `@kubernetes/client-node` finds it and says who we are (kubeconfig, service account, tokens that
 * rotate, commands that make tokens, proxies); the requests are our own, because its typed calls build every object of a list in
 * full, and its watch tells neither why it was refused nor what to wait for.
 */
export class KubeApi {
  readonly #access: KubeAccess;
  readonly #now: () => number;
  readonly #userAgent: string;
  #config: { readonly config: KubeConfig; readonly readMs: number } | undefined;

  constructor(access: KubeAccess, userAgent: string, now: () => number) {
    this.#access = access;
    this.#userAgent = userAgent;
    this.#now = now;
  }

  /** An answer as it comes. @throws KubeFailure, also while it is read */
  async *stream(call: Call): AsyncGenerator<Buffer, void> {
    const { response, silence } = await this.#send(call);
    try {
      for await (const chunk of response) {
        silence.refresh();
        yield chunk as Buffer;
      }
    } catch (error) {
      throw failureFrom(response.errored ?? error);
    } finally {
      clearTimeout(silence);
      response.destroy();
    }
  }

  /** A whole answer, JSON. @throws KubeFailure */
  async json(call: Call): Promise<unknown> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of this.stream(call)) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES)
        throw new KubeFailure('unexpected', `an answer is longer than ${MAX_BODY_BYTES} bytes`);
    }
    return parse(call, Buffer.concat(chunks).toString('utf8'));
  }

  /** A list: its items one by one as they come. @returns the rest of it. @throws KubeFailure */
  async list(call: Call, onItem: (item: unknown) => void): Promise<unknown> {
    const list = new ListItems();
    for await (const chunk of this.stream(call)) for (const item of list.push(chunk)) onItem(parse(call, item));
    return parse(call, list.end());
  }

  async #send(call: Call): Promise<{ response: IncomingMessage; silence: NodeJS.Timeout }> {
    const { url, options } = await this.#prepare(call);
    const send = url.protocol === 'http:' ? plainRequest : tlsRequest;
    const method = call.body === undefined ? 'GET' : (call.method ?? 'POST');
    const request = send(url, { ...options, method, signal: call.signal });
    const silent = new KubeFailure('silent', `the API server said nothing for ${Math.round(call.silenceMs / 1000)} s`);
    let response: IncomingMessage | undefined;
    const silence = setTimeout(() => (response ?? request).destroy(silent), call.silenceMs);
    try {
      response = await answerTo(request, call.body);
    } catch (error) {
      clearTimeout(silence);
      throw this.#refused(failureFrom(error));
    }
    silence.refresh();
    // An error on the way ends the answer; whoever reads it is told.
    const answered = response;
    request.on('error', (error) => answered.destroy(error));
    const { statusCode = 0, headers } = response;
    if (statusCode >= 200 && statusCode < 300) return { response, silence };
    const body = await beginning(response);
    clearTimeout(silence);
    throw this.#refused(failureOf(call.asked, statusCode, body, headers['retry-after']));
  }

  async #prepare({ path, query = {} }: Call): Promise<{ url: URL; options: RequestOptions }> {
    const now = this.#now();
    if (this.#config === undefined || now - this.#config.readMs >= RELOAD_MS)
      this.#config = { config: await loadConfig(this.#access), readMs: now };
    const { config } = this.#config;
    const options: RequestOptions = { headers: {} };
    try {
      await config.applyToHTTPSOptions(options);
      const url = new URL(`${config.getCurrentCluster()!.server}${path}`);
      for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
      Object.assign(options.headers!, { Accept: 'application/json', 'User-Agent': this.#userAgent });
      return { url, options };
    } catch (error) {
      this.#config = undefined;
      const { message } = error as Error;
      // Of a command that makes tokens this is all that it wrote to stderr.
      const said = message.replace(/\s+/g, ' ').slice(0, MAX_SAID);
      throw new KubeFailure('config', `cannot make a request from the kubeconfig or service account: ${said}`);
    }
  }

  /** Who we are may be told better by files that are newer. */
  #refused(failure: KubeFailure): KubeFailure {
    if (failure.reason === 'unauthorized' || failure.reason === 'tls') this.#config = undefined;
    return failure;
  }
}

function parse({ path }: Call, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const beginning = JSON.stringify(text.slice(0, 60));
    const advice = 'is this the address of a Kubernetes API server?';
    throw new KubeFailure('unexpected', `the answer to ${path} is not JSON: it begins with ${beginning}; ${advice}`);
  }
}

function answerTo(request: ClientRequest, body: object | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', reject);
    if (body !== undefined) request.setHeader('Content-Type', 'application/json');
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function beginning(response: IncomingMessage): Promise<string> {
  let text = '';
  try {
    for await (const chunk of response) {
      text += (chunk as Buffer).toString('utf8');
      if (text.length > MAX_FAILURE_BYTES) break;
    }
  } catch {
    // What has come of it is enough.
  }
  return text;
}
