import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, isIPv6, type Socket } from 'node:net';
import type { CertificateFiles } from '../certificates.ts';
import { Access, EXPORTER_RULES, type Rule } from './access.ts';
import { injectFault, type RequestFault } from './faults.ts';
import type { ServerState } from './lists-and-watches.ts';
import { type NodeDescription, nodeObject, type PodDescription, podObject } from './objects.ts';
import { BEHAVIOUR, type Behaviour, NEWEST, type Release } from './release.ts';
import type { Resources } from './resources.ts';
import { type ReceivedRequest, respond } from './routes.ts';
import { StartPhase } from './start-phase.ts';
import { type ApiObject, Revision, Store } from './store.ts';
import { Watches } from './watches.ts';

const TOKEN = 'first-token';
/** After a stop open watches are served for so long; by a real one for 60 s. */
const DRAIN_MS = 300;
/** A list of a version that is to come is refused after this, as by a real one. */
const FUTURE_LIST_MS = 3000;
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
  /** The release as which it behaves; the newest by default. */
  readonly release?: Release;
  readonly bookmarkMs?: number;
  readonly futureListMs?: number;
  /** How long a second of a watch's `timeoutSeconds` takes; 1,000 by default. */
  readonly secondMs?: number;
  readonly nodes?: readonly NodeDescription[];
  readonly pods?: readonly PodDescription[];
}

/**
 * A stand-in for a Kubernetes API server, as far as the exporter uses one: lists in pages with snapshots that expire, watches with
 * bookmarks, bearer tokens, RBAC, and the faults that real ones show. It behaves as kube-apiserver 1.33.13 or 1.36.3 was seen to. In
 * memory; on loopback by default.
 */
export class ApiServer {
  readonly access: Access;
  readonly watches: Watches;
  readonly startPhase = new StartPhase();
  readonly #behaviour: Behaviour;
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
    this.#behaviour = BEHAVIOUR[options.release ?? NEWEST];
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
    this.#resources.pods.put(podObject(pod, this.#behaviour));
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

  /** Any object, past the validation of a real one. */
  put(resource: keyof Resources, object: ApiObject): void {
    this.#resources[resource].put(object);
  }

  /** Compacts as etcd does: up to 1.33 lists under way get 410. */
  compact(): void {
    if (this.#behaviour.pagesFromEtcd) for (const store of Object.values(this.#resources)) store.compact();
  }

  /** Forgets changes as a restart does: watches from older versions get 410. */
  forgetChanges(): void {
    for (const store of Object.values(this.#resources)) store.forgetChanges();
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

  /** Refuses new connections, and serves open watches a little longer. Resolves when they are cut. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    const open = [...this.#sockets];
    const drained = setTimeout(() => open.forEach((socket) => void socket.destroy()), DRAIN_MS);
    this.#server = this.#make();
    await closed;
    clearTimeout(drained);
  }

  /** Stops, starts again, and is ready after a while. Resolves when it listens: those who watched before are still served. */
  async restart(): Promise<void> {
    this.forgetChanges();
    this.startPhase.begin();
    void this.stop();
    await new Promise(setImmediate);
    await this.listen();
  }

  async close(): Promise<void> {
    this.startPhase.set('ready');
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
    if (fault !== undefined) return injectFault(fault, response, () => this.startPhase.retryAfter());
    const state: ServerState = {
      access: this.access,
      resources: this.#resources,
      revision: this.#revision,
      watches: this.watches,
      behaviour: this.#behaviour,
      startPhase: this.startPhase,
      futureListMs: this.#options.futureListMs ?? FUTURE_LIST_MS,
      secondMs: this.#options.secondMs ?? 1000,
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
