import type { Log } from '@egressd/daemon/log';
import type { KubeApi } from './api.ts';
import { failureFrom } from './failure.ts';
import { ANSWER_MS } from './list-watch.ts';

/** Kubernetes keeps an event for an hour by default; the same one is told again no sooner. */
export const EVENT_AGAIN_MS = 60 * 60_000;
/** Events that are told in that time; the rest is not: where so much is wrong, one look shows it. */
export const MAX_EVENTS = 100;
/** Events of what has no namespace, such as nodes, lie in this one. */
const NAMESPACE = 'default';

/** Something that an operator should see where he looks first: `kubectl describe node`, `kubectl get events`. */
export interface NodeEvent {
  readonly node: string;
  /** In the style of Kubernetes: `CollectorMissing`. */
  readonly reason: string;
  readonly message: string;
}

/** Writes Kubernetes Events (core/v1) about nodes, where it may. */
export class EventWriter {
  readonly #api: KubeApi;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #signal: AbortSignal;
  /** node and reason -> when it was told. */
  readonly #told = new Map<string, number>();
  #allowed = true;

  constructor(api: KubeApi, log: Log, now: () => number, signal: AbortSignal) {
    this.#api = api;
    this.#log = log;
    this.#now = now;
    this.#signal = signal;
  }

  /** Writes an event, unless it was written within the hour. Never fails: an event is a kindness. */
  async write(event: NodeEvent): Promise<void> {
    const now = this.#now();
    for (const [key, at] of this.#told) if (now - at >= EVENT_AGAIN_MS) this.#told.delete(key);
    const key = `${event.node} ${event.reason}`;
    if (!this.#allowed || this.#told.has(key) || this.#told.size >= MAX_EVENTS) return;
    this.#told.set(key, now);
    try {
      await this.#api.json({
        asked: { verb: 'create', resource: 'events' },
        path: `/api/v1/namespaces/${NAMESPACE}/events`,
        body: eventObject(event, now),
        silenceMs: ANSWER_MS,
        signal: this.#signal,
      });
    } catch (error) {
      const failure = failureFrom(error);
      this.#allowed = failure.reason !== 'forbidden';
      if (!this.#allowed) this.#log.info(`no Kubernetes Events are written: ${failure.message}`);
      else if (!this.#signal.aborted) this.#log.debug('an event was not written', { error: failure.message });
    }
  }
}

function eventObject({ node, reason, message }: NodeEvent, nowMs: number): object {
  const time = new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z');
  return {
    kind: 'Event',
    apiVersion: 'v1',
    // As client-go names them.
    metadata: { name: `${node}.${(nowMs * 1_000_000).toString(16)}.${reason.toLowerCase()}`, namespace: NAMESPACE },
    // Events of a node bear its name as UID, as the kubelet's do: else `kubectl describe node` does not show them.
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
