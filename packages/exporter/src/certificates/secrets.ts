import type { KubeApi } from '../kube/api.ts';
import { KubeFailure, type ResourceAttributes } from '../kube/failure.ts';
import { asMap, asText } from '../kube/json.ts';
import type { SecretData } from './certificate-set.ts';
import { CertificateError } from './renewal.ts';

/** Annotation of Secrets that this program wrote: no other is overwritten. */
const MADE_BY = { key: 'egressd/made-by', value: 'egressd-certificates' } as const;
/** Longest wait for a response. */
const IDLE_TIMEOUT_MS = 15_000;
const NOT_FOUND = 404;
const CONFLICT = 409;

/** One Secret as it was read. */
export interface StoredSecret {
  readonly name: string;
  /** The object with its `resourceVersion`; undefined: there is none. */
  readonly object: Readonly<Record<string, unknown>> | undefined;
  readonly data: SecretData;
}

/** Another process has written it since it was read: read it again. */
export class SecretConflict extends Error {
  override readonly name = 'SecretConflict';
}

/** Secrets (core/v1) of one namespace. Failures are KubeFailure; no message has anything of the data. */
export class Secrets {
  readonly #api: KubeApi;
  readonly #namespace: string;
  readonly #signal: AbortSignal;

  constructor(api: KubeApi, namespace: string, signal: AbortSignal) {
    this.#api = api;
    this.#namespace = namespace;
    this.#signal = signal;
  }

  /** Reads a Secret. @throws CertificateError where it has data that this program did not write */
  async read(name: string): Promise<StoredSecret> {
    const object = await this.#get(name);
    const data = asMap(object?.data);
    const madeBy = asMap(asMap(object?.metadata).annotations)[MADE_BY.key];
    if (Object.keys(data).length > 0 && madeBy !== MADE_BY.value)
      throw new CertificateError(
        `the Secret ${this.#namespace}/${name} was not written by this program (no annotation ${MADE_BY.key}): name another one, or delete it if it is not needed`,
      );
    return { name, object, data: { 'ca.crt': '', 'tls.crt': '', 'tls.key': '', ...decode(data) } };
  }

  /** Writes a Secret that was read. @throws SecretConflict where another process has written it since */
  async write({ name, object }: StoredSecret, data: SecretData): Promise<void> {
    try {
      await (object === undefined ? this.#create(name, data) : this.#update(name, object, data));
    } catch (error) {
      if (error instanceof KubeFailure && error.status === CONFLICT)
        throw new SecretConflict(`another process wrote the Secret ${this.#namespace}/${name}`);
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

  async #create(name: string, data: SecretData): Promise<void> {
    const metadata = { name, namespace: this.#namespace, annotations: { [MADE_BY.key]: MADE_BY.value } };
    // No rule can narrow `create` to a name.
    const { name: _, ...attributes } = this.#attributes('create', name);
    await this.#api.json({
      attributes,
      path: this.#path(),
      body: { kind: 'Secret', apiVersion: 'v1', type: 'kubernetes.io/tls', metadata, data: encode(data) },
      idleTimeoutMs: IDLE_TIMEOUT_MS,
      signal: this.#signal,
    });
  }

  async #update(name: string, object: Readonly<Record<string, unknown>>, data: SecretData): Promise<void> {
    const metadata = asMap(object.metadata);
    const annotations = { ...asMap(metadata.annotations), [MADE_BY.key]: MADE_BY.value };
    await this.#api.json({
      attributes: this.#attributes('update', name),
      path: this.#path(name),
      method: 'PUT',
      // Everything else stays; the resourceVersion makes it fail (409) where another process was faster.
      body: { ...object, metadata: { ...metadata, annotations }, data: { ...asMap(object.data), ...encode(data) } },
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

function decode(data: Readonly<Record<string, unknown>>): Record<string, string> {
  const decoded = (value: unknown) => Buffer.from(asText(value), 'base64').toString('utf8');
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, decoded(value)]));
}

function encode(data: SecretData): Record<string, string> {
  const encoded = (text: string) => Buffer.from(text, 'utf8').toString('base64');
  return Object.fromEntries(Object.entries(data).map(([key, text]) => [key, encoded(text)]));
}
