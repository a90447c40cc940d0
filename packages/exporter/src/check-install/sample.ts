/** Values of an exporter's `/metrics` at one moment. */
export interface Sample {
  /** Collectors whose stream is open. */
  readonly streams: number;
  /** Nodes in Kubernetes or the inventory. */
  readonly nodes: number;
  /** Nodes from which no collector has streamed for a while. */
  readonly nodesWithoutCollector: number;
  /** Batches received since the start of the exporter. */
  readonly batches: number;
  /** Flows kept since then. */
  readonly flows: number;
}

/** The metric of each value. */
const METRICS = {
  streams: 'egressd_exporter_receiver_streams',
  nodes: 'egressd_exporter_nodes',
  nodesWithoutCollector: 'egressd_exporter_nodes_without_collector',
  batches: 'egressd_exporter_receiver_batches_total',
  flows: 'egressd_exporter_flows_total',
} as const;

/** Every exporter has it; without it the metrics are those of another program. */
const MARKER = METRICS.streams;

/**
 * Parses `/metrics`: text format 0.0.4 of Prometheus. A value is the sum over all labels of its metric.
 * @returns undefined where they are not an exporter's
 */
export function parseSample(text: string): Sample | undefined {
  const sums = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, name, value] = /^(egressd_\w+)(?:\{.*\})? (\S+)/.exec(line) ?? [];
    if (name !== undefined) sums.set(name, (sums.get(name) ?? 0) + Number(value));
  }
  if (!sums.has(MARKER)) return undefined;
  const sum = (name: string) => sums.get(name) ?? 0;
  return {
    streams: sum(METRICS.streams),
    nodes: sum(METRICS.nodes),
    nodesWithoutCollector: sum(METRICS.nodesWithoutCollector),
    batches: sum(METRICS.batches),
    flows: sum(METRICS.flows),
  };
}

/** Whether an installation works, with lines that say so. */
export interface CheckResult {
  readonly ok: boolean;
  readonly lines: readonly string[];
}

/** Compares two samples of one exporter: it works when a collector streams, and batches and flows have increased. */
export function compareSamples(before: Sample, now: Sample): CheckResult {
  const { streams, nodes, nodesWithoutCollector: missing } = now;
  const [batches, flows] = [now.batches - before.batches, now.flows - before.flows];
  const notes = missing === 0 ? [] : [`note: nodes without a collector: ${missing}; see the collector pods there`];
  if (streams === 0)
    return {
      ok: false,
      lines: ['failed: no collector streams to the exporter, see the logs of the collectors', ...notes],
    };
  const streaming = `ok: collectors that stream to the exporter: ${streams}, nodes that it knows: ${nodes}`;
  if (batches > 0 && flows > 0)
    return { ok: true, lines: [streaming, `ok: counters increase: batches +${batches}, flows +${flows}`, ...notes] };
  const failure =
    batches > 0
      ? 'failed: no batch has a flow of a pod: egressd_exporter_dropped_pairs_total of the exporter counts the reasons'
      : 'failed: counters do not increase: is accounting on (the init container), and has any pod traffic?';
  return { ok: false, lines: [streaming, failure, ...notes] };
}
