import type { KubeApi } from '../kube/api.ts';
import { KubeFailure, type ResourceAttributes } from '../kube/failure.ts';
import { asMap, asText } from '../kube/json.ts';
import type { Contents } from './holdings.ts';
import { CertificateError } from './renewal.ts';

/** Marks Secrets whose contents were made here: the contents of others are never replaced. */
export const MADE_BY = { key: 'egressd/made-by', value: 'egressd-certificates' } as const;
/** Longest wait for a response. */
const IDLE_TIMEOUT_MS = 15_000;
const NOT_FOUND = 404;
const CONFLICT = 409;

/** One Secret as it was read. */
export interface KeptSecret {
  readonly name: string;
  /** As the API server gave it, with its `resourceVersion`; undefined: there is none. */
  readonly object: Readonly<Record<string, unknown>> | undefined;
  readonly contents: Contents;
}

/** Somebody else has written it since it was read: read again. */
export class SecretConflict extends Error {
  override readonly name = 'SecretConflict';
}

/** Secrets of one namespace, of core/v1. Failures are KubeFailure; no text of theirs has anything of the contents. */
export class Secrets {
  readonly #api: KubeApi;
  readonly #namespace: string;
  readonly #signal: AbortSignal;

  constructor(api: KubeApi, namespace: string, signal: AbortSignal) {
    this.#api = api;
    this.#namespace = namespace;
    this.#signal = signal;
  }

  /** @throws CertificateError where it holds what was not made here */
  async read(name: string): Promise<KeptSecret> {
    const object = await this.#get(name);
    const data = asMap(object?.data);
    const madeBy = asMap(asMap(object?.metadata).annotations)[MADE_BY.key];
    if (Object.keys(data).length > 0 && madeBy !== MADE_BY.value)
      throw new CertificateError(
        `the Secret ${this.#namespace}/${name} holds something that was not made here (no annotation ${MADE_BY.key}): name another one, or remove it if nobody needs it`,
      );
    return { name, object, contents: { 'ca.crt': '', 'tls.crt': '', 'tls.key': '', ...textsOf(data) } };
  }

  /** Writes it, if nobody else has since it was read. @throws SecretConflict if somebody has */
  async write({ name, object }: KeptSecret, contents: Contents): Promise<void> {
    try {
      await (object === undefined ? this.#create(name, contents) : this.#update(name, object, contents));
    } catch (error) {
      if (error instanceof KubeFailure && error.status === CONFLICT)
        throw new SecretConflict(`somebody else writes the Secret ${this.#namespace}/${name}`);
      throw error;
    }
  }

  async #get(name: string): Promise<Readonly<Record<string, unknown>> | undefined> {
    const call = {
      attributes: this.#attributes('get', name),
      path: this.#path(name),
      idleTimeoutMs: IDLE_TIMEOUT_MS,
      signal: this.#signal,
    };
    try {
      return asMap(await this.#api.json(call));
    } catch (error) {
      if (error instanceof KubeFailure && error.status === NOT_FOUND) return undefined;
      throw error;
    }
  }

  async #create(name: string, contents: Contents): Promise<void> {
    const metadata = { name, namespace: this.#namespace, annotations: { [MADE_BY.key]: MADE_BY.value } };
    // No rule can narrow `create` to a name.
    const { name: _, ...attributes } = this.#attributes('create', name);
    await this.#api.json({
      attributes,
      path: this.#path(),
      body: { kind: 'Secret', apiVersion: 'v1', type: 'kubernetes.io/tls', metadata, data: dataOf(contents) },
      idleTimeoutMs: IDLE_TIMEOUT_MS,
      signal: this.#signal,
    });
  }

  async #update(name: string, object: Readonly<Record<string, unknown>>, contents: Contents): Promise<void> {
    const metadata = asMap(object.metadata);
    const annotations = { ...asMap(metadata.annotations), [MADE_BY.key]: MADE_BY.value };
    await this.#api.json({
      attributes: this.#attributes('update', name),
      path: this.#path(name),
      method: 'PUT',
      // Whatever else it has stays; the resourceVersion makes it fail where somebody was faster.
      body: { ...object, metadata: { ...metadata, annotations }, data: { ...asMap(object.data), ...dataOf(contents) } },
      idleTimeoutMs: IDLE_TIMEOUT_MS,
      signal: this.#signal,
    });
  }

  #attributes(verb: ResourceAttributes['verb'], name: string): ResourceAttributes {
    return { verb, resource: 'secrets', namespace: this.#namespace, name };
  }

  #path(name = ''): string {
    return `/api/v1/namespaces/${this.#namespace}/secrets${name === '' ? '' : `/${name}`}`;
  }
}

function textsOf(data: Readonly<Record<string, unknown>>): Record<string, string> {
  const decoded = (value: unknown) => Buffer.from(asText(value), 'base64').toString('utf8');
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, decoded(value)]));
}

function dataOf(contents: Contents): Record<string, string> {
  const encoded = (text: string) => Buffer.from(text, 'utf8').toString('base64');
  return Object.fromEntries(Object.entries(contents).map(([key, text]) => [key, encoded(text)]));
}
