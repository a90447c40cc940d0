import { type Log, LogLimiter } from '@egressd/daemon/log';
import type { NodeHealth } from '@egressd/flow/node-health';
import { Gauge, type Registry } from 'prom-client';
import type { NodeEvent } from '../kube/events.ts';
import type { Collector } from '../receiver/received.ts';
import { NODE_PROBLEMS, type NodeProblem, NodeProblems } from './node-problems.ts';

/** How something amiss is told. */
interface Telling {
  readonly level: 'warn' | 'error';
  readonly line: string;
  readonly advice: string;
  /** Reason of the Kubernetes Event: for what loses bytes. */
  readonly event?: string;
}

/** What nobody needs to do anything about has no telling: the metric shows it. */
const TELLING: Readonly<Partial<Record<NodeProblem, Telling>>> = {
  accounting_off: {
    level: 'error',
    line: 'nf_conntrack_acct is off on a node: its kernel counts no bytes of new connections',
    advice: 'run the collector there once with -init (its init container), or set it with sysctl',
    event: 'AccountingOff',
  },
  counters_zeroed: {
    level: 'warn',
    line: "the counters of connections fell on a node: somebody else reads them with zeroing, and what moved since the collector's last read is lost",
    advice: 'find who runs conntrack -L -z or another agent that zeroes there, and stop it',
    event: 'CountersZeroed',
  },
  timestamps_off: {
    level: 'warn',
    line: 'nf_conntrack_timestamp is off on a node: a connection that follows another with the same ports may be taken for it',
    advice: 'run the collector there once with -init (its init container), or set it with sysctl',
  },
  events_off: {
    level: 'warn',
    line: 'nf_conntrack_events is 0 on a node: what a connection moves between the last read that saw it and its end is lost',
    advice: 'run the collector there once with -init (its init container), or set it to 1 with sysctl',
  },
};

/** What the watch works with. */
export interface NodeProblemWatchOptions {
  /** Names of the nodes whose collectors stream. */
  readonly speaking: () => ReadonlySet<string>;
  /** Tells an operator of a node, as a Kubernetes Event; the same one may come often. */
  readonly tell: (event: NodeEvent) => void;
  readonly log: Log;
  readonly registry: Registry;
  /** Unix milliseconds; `Date.now` outside tests. */
  readonly now?: () => number;
}

/** Says and shows what collectors find amiss with the kernels of their nodes. */
export class NodeProblemWatch {
  readonly #options: NodeProblemWatchOptions;
  readonly #now: () => number;
  readonly #logLimiter: LogLimiter;
  readonly #nodes = new NodeProblems();

  constructor(options: NodeProblemWatchOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#logLimiter = new LogLimiter(this.#now);
    createNodeProblemMetrics(options.registry, () => this.#nodes.amiss(options.speaking(), this.#now()));
  }

  /** Takes what a collector says: what is newly amiss is logged and told. */
  take({ node, epoch }: Collector, health: NodeHealth): void {
    for (const what of this.#nodes.take(node, epoch, health, this.#now())) {
      this.#say(node, what);
      this.#tell(node, what);
    }
  }

  /** Tells again of what is still amiss, and forgets nodes that are gone. To be called now and then. */
  check(): void {
    const speaking = this.#options.speaking();
    this.#nodes.forget(speaking, this.#now());
    for (const [what, nodes] of this.#nodes.amiss(speaking, this.#now()))
      for (const node of nodes) this.#tell(node, what);
  }

  #say(node: string, what: NodeProblem): void {
    const telling = TELLING[what];
    if (telling === undefined) return;
    const { level, line, advice } = telling;
    this.#logLimiter.limit(`${what} ${node}`, (suppressed) =>
      this.#options.log[level](line, { node, advice, suppressed }),
    );
  }

  #tell(node: string, what: NodeProblem): void {
    const { event: reason, line = '', advice = '' } = TELLING[what] ?? {};
    if (reason !== undefined) this.#options.tell({ node, reason, message: `${line}; ${advice}` });
  }
}

/** Registers them. @param amiss nodes by what is amiss with them now */
export function createNodeProblemMetrics(
  registry: Registry,
  amiss: () => ReadonlyMap<NodeProblem, readonly string[]>,
): void {
  new Gauge({
    name: 'egressd_exporter_node_problems',
    help: 'Nodes whose collector streams and finds its kernel amiss, by reason; the log names them. accounting_off: bytes of new connections are not counted, timestamps_off: connections may be mistaken, events_off: the last bytes of connections that end are lost: run the collector there once with -init. counters_zeroed: somebody zeroed counters in the last ten minutes (conntrack -L -z, another agent), bytes are lost: stop it. entries_without_counters: connections opened before accounting was on, they go as they end.',
    labelNames: ['reason'] as const,
    registers: [registry],
    collect() {
      const found = amiss();
      for (const reason of NODE_PROBLEMS) this.set({ reason }, found.get(reason)?.length ?? 0);
    },
  });
}
