import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, isIPv6, type Socket } from 'node:net';
import type { CertificateFiles } from '../certificates.ts';
import { Access, EXPORTER_RULES, type Rule } from './access.ts';
import { injectFault, type RequestFault } from './faults.ts';
import { type NodeDescription, nodeObject, type PodDescription, podObject } from './objects.ts';
import { type ReceivedRequest, type Resources, respond, type ServerState } from './routes.ts';
import { type ApiObject, Revision, Store } from './store.ts';
import { Watches } from './watches.ts';

const TOKEN = 'first-token';
const USER = 'system:serviceaccount:egressd:egressd-exporter';

/** What a stand-in serves; every option has a default. */
export interface ApiServerOptions {
  /** 0: a free one. */
  readonly port?: number;
  readonly host?: string;
  /** Its certificate, and that of who signed it; undefined: plain HTTP. */
  readonly tls?: { readonly own: CertificateFiles; readonly authority: CertificateFiles } | undefined;
  /** Bearer tokens that are taken. */
  readonly tokens?: readonly string[];
  readonly rules?: readonly Rule[];
  readonly bookmarkMs?: number;
  readonly nodes?: readonly NodeDescription[];
  readonly pods?: readonly PodDescription[];
}

/**
 * A stand-in for a Kubernetes API server, as far as the exporter uses one: lists in pages with snapshots that expire, watches with
 * bookmarks, bearer tokens, RBAC, and the faults that real ones show. In memory; on loopback by default.
 */
export class ApiServer {
  readonly access: Access;
  readonly watches: Watches;
  /** Every request since the start, oldest first. */
  readonly requests: ReceivedRequest[] = [];
  /** The fault of a request; undefined: none. */
  fault: (request: ReceivedRequest) => RequestFault | undefined = () => undefined;
  readonly #revision = new Revision();
  readonly #resources: Resources;
  readonly #options: ApiServerOptions;
  #server: Server;
  /** Also those that are in their TLS handshake. */
  readonly #sockets = new Set<Socket>();
  #port = 0;

  constructor(options: ApiServerOptions) {
    this.#options = options;
    this.access = new Access(options.tokens ?? [TOKEN], options.rules ?? EXPORTER_RULES, USER);
    this.watches = new Watches(options.bookmarkMs ?? 60_000);
    const store = () => new Store(this.#revision);
    this.#resources = {
      nodes: store(),
      pods: store(),
      namespaces: store(),
      services: store(),
      events: store(),
      servicecidrs: store(),
      secrets: store(),
    };
    for (const node of options.nodes ?? []) this.putNode(node);
    for (const pod of options.pods ?? []) this.putPod(pod);
    this.#server = this.#make();
  }

  get url(): string {
    const { host = '127.0.0.1', tls } = this.#options;
    return `${tls === undefined ? 'http' : 'https'}://${isIPv6(host) ? `[${host}]` : host}:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  /** Events that were posted to it. */
  get events(): readonly ApiObject[] {
    const page = this.#resources.events.list(0, '');
    return 'items' in page ? page.items.map((json) => JSON.parse(json) as ApiObject) : [];
  }

  putPod(pod: PodDescription): void {
    this.#resources.pods.put(podObject(pod));
  }

  deletePod(namespace: string, name: string): void {
    this.#resources.pods.delete(name, namespace);
  }

  putNode(node: NodeDescription): void {
    this.#resources.nodes.put(nodeObject(node));
  }

  deleteNode(name: string): void {
    this.#resources.nodes.delete(name);
  }

  /** A Secret's object; undefined: there is none. */
  secret(namespace: string, name: string): ApiObject | undefined {
    const json = this.#resources.secrets.get(name, namespace);
    return json === undefined ? undefined : (JSON.parse(json) as ApiObject);
  }

  deleteSecret(namespace: string, name: string): void {
    this.#resources.secrets.delete(name, namespace);
  }

  /** Any object, valid or not. */
  put(resource: keyof Resources, object: ApiObject): void {
    this.#resources[resource].put(object);
  }

  /** Compacts as etcd does: watches from older versions and lists under way get 410. */
  compact(): void {
    for (const store of Object.values(this.#resources)) store.compact();
  }

  /** Requests so far with this in their path or query. */
  seen(text: string): number {
    return this.requests.filter(({ path, query }) => `${path}?${query}`.includes(text)).length;
  }

  /**
   * Writes a kubeconfig for it.
   * @param token the user's; undefined: the first that is taken
   */
  writeKubeconfig(path: string, token: string = this.access.tokens[0] ?? ''): void {
    const { tls } = this.#options;
    const trust =
      tls === undefined
        ? { 'insecure-skip-tls-verify': true }
        : { 'certificate-authority-data': readFileSync(tls.authority.cert).toString('base64') };
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'stand-in',
      clusters: [{ name: 'stand-in', cluster: { server: this.url, ...trust } }],
      users: [{ name: 'egressd', user: { token } }],
      contexts: [{ name: 'stand-in', context: { cluster: 'stand-in', user: 'egressd', namespace: 'egressd' } }],
    };
    writeFileSync(path, JSON.stringify(config, undefined, 2));
  }

  /** Listens: the first time, and again on the same port after `disconnect`. */
  async listen(): Promise<void> {
    const { host = '127.0.0.1', port = 0 } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port || port, host, resolve);
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Drops every connection and refuses new ones; what it stores stays. `listen` brings it back. */
  async disconnect(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    this.#server = this.#make();
  }

  async close(): Promise<void> {
    await this.disconnect();
  }

  #make(): Server {
    const listener = (request: IncomingMessage, response: ServerResponse) => {
      request.on('error', () => {});
      this.#take(request, response).catch((error) => response.destroy(error));
    };
    const { tls } = this.#options;
    const server =
      tls === undefined
        ? createServer(listener)
        : createTlsServer({ cert: readFileSync(tls.own.cert), key: readFileSync(tls.own.key) }, listener);
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    return server;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://api');
    const authorization = request.headers.authorization;
    const token = /^Bearer (.+)$/.exec(authorization ?? '')?.[1];
    const received = { method: request.method ?? '', path: url.pathname, query: url.searchParams, token };
    this.requests.push(received);
    const fault = this.fault(received);
    if (fault !== undefined) return injectFault(fault, response);
    const state: ServerState = {
      access: this.access,
      resources: this.#resources,
      revision: this.#revision,
      watches: this.watches,
    };
    await respond(state, request, received, response);
  }
}

/** Starts a stand-in API server. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const server = new ApiServer(options);
  await server.listen();
  return server;
}
