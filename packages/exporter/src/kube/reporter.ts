import { type Log, LogLimiter } from '@egressd/daemon/log';
import type { FailureReason } from './failure.ts';
import type { ListWatchObserver } from './list-watch.ts';
import type { KubeMetrics } from './metrics.ts';
import type { Problem } from './problems.ts';

/** Failures that last until an operator acts. */
const NEEDS_OPERATOR: ReadonlySet<FailureReason> = new Set([
  'config',
  'tls',
  'unauthorized',
  'forbidden',
  'unexpected',
]);

/** Logs and counts what happens with the API server. Repeated lines are rate-limited, each resource on its own. */
export class KubeReporter implements ListWatchObserver {
  readonly #log: Log;
  readonly #metrics: KubeMetrics;
  readonly #now: () => number;
  readonly #logLimiter: LogLimiter;

  constructor(log: Log, metrics: KubeMetrics, now: () => number) {
    this.#log = log;
    this.#metrics = metrics;
    this.#now = now;
    this.#logLimiter = new LogLimiter(now);
  }

  failed: ListWatchObserver['failed'] = (resource, { reason, message }, backoffMs) => {
    this.#metrics.countFailed(resource, reason);
    if (reason === 'gone') {
      this.#log.debug('resource version expired, listing again', { resource, reason });
      return;
    }
    this.#logLimiter.limit(`${resource} ${reason}`, (suppressed) => {
      const fields = { resource, reason, error: message, retry_in_ms: Math.round(backoffMs), suppressed };
      if (NEEDS_OPERATOR.has(reason)) this.#log.error('request to the API server failed', fields);
      else this.#log.warn('request to the API server failed', fields);
    });
  };

  recovered: ListWatchObserver['recovered'] = (resource) => {
    this.#logLimiter.limit(`recovered ${resource}`, () =>
      this.#log.info('connection to the API server restored', { resource, reason: 'recovered' }),
    );
  };

  listed: ListWatchObserver['listed'] = (resource, objects) => {
    this.#metrics.countListed(resource);
    this.#metrics.setReceived(resource, this.#now());
    this.#logLimiter.limit(`listed ${resource}`, () => this.#log.info('listed', { resource, objects }));
  };

  changed: ListWatchObserver['changed'] = (resource, type) => this.#metrics.countChanged(resource, type);

  received: ListWatchObserver['received'] = (resource) => this.#metrics.setReceived(resource, this.#now());

  /** Nodes without a collector. */
  missingCollectors(nodes: readonly string[]): void {
    this.#metrics.setNodesWithoutCollector(nodes.length);
    if (nodes.length === 0) return;
    this.#logLimiter.limit('collector_missing', () => {
      const fields = { reason: 'collector_missing', nodes: nodes.length, first: nodes[0] };
      this.#log.warn('nodes without a collector, traffic of their pods is not counted', fields);
    });
  }

  /** A problem with an object. */
  problem = (problem: Problem, object: string): void => {
    this.#metrics.countProblem(problem);
    this.#logLimiter.limit(problem, (suppressed) =>
      this.#log.info(PROBLEM_TEXT[problem], { problem, object, suppressed }),
    );
  };
}

const PROBLEM_TEXT: Readonly<Record<Problem, string>> = {
  malformed: 'object without name or UID, skipped',
  malformed_address: 'object with a malformed address, address skipped',
  no_address: 'running pod or node without an address, its traffic has no owner',
  no_zone: 'node without the label topology.kubernetes.io/zone, the zone of its pods is unknown',
  too_large: 'object with more JSON than is read of one, skipped: its traffic has no owner',
  duplicate_address:
    'two pods with the same address: the later one owns it, or neither for other nodes, where both run on nodes of their own',
};
