import { type Log, LogLimiter } from '@egressd/daemon/log';
import type { NodeHealth } from '@egressd/flow/node-health';
import { Gauge, type Registry } from 'prom-client';
import type { NodeEvent } from '../kube/events.ts';
import type { Collector } from '../receiver/received.ts';
import { NODE_PROBLEMS, type NodeProblem, NodeProblems } from './node-problems.ts';

/** How a problem is reported. */
interface ProblemReport {
  readonly level: 'warn' | 'error';
  readonly line: string;
  readonly advice: string;
  /** Reason of the Kubernetes Event: for what loses bytes. */
  readonly event?: string;
}

/** What needs no action is in the metric only. */
const REPORTS: Readonly<Partial<Record<NodeProblem, ProblemReport>>> = {
  accounting_off: {
    level: 'error',
    line: 'nf_conntrack_acct is off: the kernel counts no bytes of new connections',
    advice: 'run the collector there once with -init (its init container), or set it with sysctl',
    event: 'AccountingOff',
  },
  counters_zeroed: {
    level: 'warn',
    line: "conntrack counters fell: another process reads them with zeroing, and what moved since the collector's last read is lost",
    advice: 'find the process that zeroes them (conntrack -L -z, another agent), and stop it',
    event: 'CountersZeroed',
  },
  timestamps_off: {
    level: 'warn',
    line: 'nf_conntrack_timestamp is off: a connection that follows another with the same ports may be taken for it',
    advice: 'run the collector there once with -init (its init container), or set it with sysctl',
  },
  events_off: {
    level: 'warn',
    line: 'nf_conntrack_events is 0: what a connection moves between the last read that saw it and its end is lost',
    advice: 'run the collector there once with -init (its init container), or set it to 1 with sysctl',
  },
  uncounted_bridge: {
    level: 'warn',
    line: 'traffic between pods on a bridge passes conntrack by and is not counted',
    advice: 'load br_netfilter and set net.bridge.bridge-nf-call-iptables=1 (and bridge-nf-call-ip6tables) there',
    event: 'BridgeTrafficNotCounted',
  },
  uncounted_ipvs: {
    level: 'warn',
    line: 'traffic through IPVS passes conntrack by and is not counted',
    advice: 'set net.ipv4.vs.conntrack=1 there',
    event: 'IpvsTrafficNotCounted',
  },
  uncounted_flowtable: {
    level: 'warn',
    line: 'what a flowtable forwards passes conntrack by and is not counted',
    advice: 'give the flowtable the flag "counter" where it is defined there (nftables, kernel 5.7 or newer)',
    event: 'FlowtableTrafficNotCounted',
  },
  uncounted_pods: {
    level: 'warn',
    line: "pods' links moved more than ten times the bytes that conntrack counted: their traffic passes it by",
    advice: "find what forwards packets of pods there (the collector's log names an eBPF data plane that it knows)",
    event: 'PodTrafficNotCounted',
  },
};

interface NodeProblemWatchOptions {
  /** Names of the nodes whose collectors stream. */
  readonly streaming: () => ReadonlySet<string>;
  /** Reports to the operator, as a Kubernetes Event of the node; the same one may come often. */
  readonly report: (event: NodeEvent) => void;
  readonly log: Log;
  readonly registry: Registry;
  /** Unix milliseconds; `Date.now` outside tests. */
  readonly now?: () => number;
}

/** Logs, counts and reports the problems of nodes. */
export class NodeProblemWatch {
  readonly #options: NodeProblemWatchOptions;
  readonly #now: () => number;
  readonly #logLimiter: LogLimiter;
  readonly #nodes = new NodeProblems();

  constructor(options: NodeProblemWatchOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#logLimiter = new LogLimiter(this.#now);
    createNodeProblemMetrics(options.registry, () => this.#nodes.current(options.streaming(), this.#now()));
  }

  /** Takes a collector's NodeHealth: new problems are logged and reported. */
  take({ node, epoch }: Collector, health: NodeHealth): void {
    for (const problem of this.#nodes.take(node, epoch, health, this.#now())) {
      this.#logProblem(node, problem);
      this.#report(node, problem);
    }
  }

  /** Reports again what is still a problem, and evicts nodes that are gone. To be called now and then. */
  check(): void {
    const streaming = this.#options.streaming();
    this.#nodes.evict(streaming, this.#now());
    for (const [problem, nodes] of this.#nodes.current(streaming, this.#now()))
      for (const node of nodes) this.#report(node, problem);
  }

  #logProblem(node: string, problem: NodeProblem): void {
    const report = REPORTS[problem];
    if (report === undefined) return;
    const { level, line, advice } = report;
    this.#logLimiter.limit(`${problem} ${node}`, (suppressed) =>
      this.#options.log[level](line, { node, problem, advice, suppressed }),
    );
  }

  #report(node: string, problem: NodeProblem): void {
    const { event: reason, line = '', advice = '' } = REPORTS[problem] ?? {};
    if (reason !== undefined) this.#options.report({ node, reason, message: `${line}; ${advice}` });
  }
}

/** Registers them. @param current nodes by problem, now */
export function createNodeProblemMetrics(
  registry: Registry,
  current: () => ReadonlyMap<NodeProblem, readonly string[]>,
): void {
  new Gauge({
    name: 'egressd_exporter_node_problems',
    help: 'Nodes whose kernel does not count as it should, by reason, of those whose collector streams; the log names them. accounting_off: bytes of new connections are not counted, timestamps_off: connections may be mistaken, events_off: the last bytes of connections that end are lost: run the collector there once with -init. counters_zeroed: another process zeroed counters in the last ten minutes (conntrack -L -z, another agent), bytes are lost: stop it. entries_without_counters: connections opened before accounting was on, they go as they end. uncounted_bridge, uncounted_ipvs, uncounted_flowtable, uncounted_pods: that traffic passes conntrack by, see egressd_collector_blind_spot.',
    labelNames: ['reason'] as const,
    registers: [registry],
    collect() {
      const found = current();
      for (const reason of NODE_PROBLEMS) this.set({ reason }, found.get(reason)?.length ?? 0);
    },
  });
}
