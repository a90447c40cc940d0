import type { Log } from '@egressd/daemon/log';
import type { KubeApi } from './api.ts';
import { toKubeFailure } from './failure.ts';
import { IDLE_TIMEOUT_MS } from './list-watch.ts';

/** Kubernetes keeps an event for an hour by default; the same one is not recorded again before. */
export const EVENT_INTERVAL_MS = 60 * 60_000;
/** Events that are recorded in that time; further ones are dropped: in a cluster with so many one look shows it. */
const MAX_EVENTS = 100;
/** After a 403 none is tried for so long. */
const FORBIDDEN_RETRY_MS = 10 * 60_000;
/** Events of objects without a namespace, such as nodes, are in this one. */
const NAMESPACE = 'default';

/** A Kubernetes Event about a node: `kubectl describe node` and `kubectl get events` show it. */
export interface NodeEvent {
  readonly node: string;
  /** In the style of Kubernetes: `CollectorMissing`. */
  readonly reason: string;
  readonly message: string;
}

/** Records Kubernetes Events (core/v1) about nodes, where RBAC allows it. */
export class EventRecorder {
  readonly #api: KubeApi;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #signal: AbortSignal;
  /** Node and reason -> when it was recorded. */
  readonly #recorded = new Map<string, number>();
  /** RBAC did not allow it: not tried again before. */
  #notBeforeMs = 0;

  constructor(api: KubeApi, log: Log, now: () => number, signal: AbortSignal) {
    this.#api = api;
    this.#log = log;
    this.#now = now;
    this.#signal = signal;
  }

  /** Records an event, unless it was recorded within the hour. Never rejects: nothing depends on an event. */
  async record(event: NodeEvent): Promise<void> {
    const now = this.#now();
    for (const [key, at] of this.#recorded) if (now - at >= EVENT_INTERVAL_MS) this.#recorded.delete(key);
    const key = `${event.node} ${event.reason}`;
    if (now < this.#notBeforeMs || this.#recorded.has(key) || this.#recorded.size >= MAX_EVENTS) return;
    this.#recorded.set(key, now);
    try {
      await this.#api.json({
        attributes: { verb: 'create', resource: 'events' },
        path: `/api/v1/namespaces/${NAMESPACE}/events`,
        body: eventObject(event, now),
        idleTimeoutMs: IDLE_TIMEOUT_MS,
        signal: this.#signal,
      });
    } catch (error) {
      const { reason, message } = toKubeFailure(error);
      this.#recorded.delete(key);
      const fields = { resource: 'events', reason, error: message };
      if (reason === 'forbidden') {
        // A starting API server answers so for a moment.
        this.#notBeforeMs = now + FORBIDDEN_RETRY_MS;
        this.#log.info('Kubernetes Events are not recorded', fields);
      } else if (!this.#signal.aborted) this.#log.debug('a Kubernetes Event was not recorded', fields);
    }
  }
}

/** Of any object: RFC 1123, as Kubernetes takes it. */
const MAX_NAME = 253;

function eventObject({ node, reason, message }: NodeEvent, nowMs: number): object {
  const time = new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z');
  return {
    kind: 'Event',
    apiVersion: 'v1',
    metadata: { name: nameOf(node, reason, nowMs), namespace: NAMESPACE },
    // Events of a node have its name as UID, as the kubelet's do: without it `kubectl describe node` does not show them.
    involvedObject: { kind: 'Node', apiVersion: 'v1', name: node, uid: node },
    reason,
    message,
    type: 'Warning',
    source: { component: 'egressd-exporter' },
    reportingComponent: 'egressd-exporter',
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
  };
}

/** As client-go names them; of a node's long name the beginning, since the whole must be a DNS subdomain of `MAX_NAME` letters. */
function nameOf(node: string, reason: string, nowMs: number): string {
  const rest = `.${(nowMs * 1_000_000).toString(16)}.${reason.toLowerCase()}`;
  return `${node.slice(0, MAX_NAME - rest.length).replace(/[-.]+$/, '')}${rest}`;
}
