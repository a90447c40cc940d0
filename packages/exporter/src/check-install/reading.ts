/** What `/metrics` of an exporter says about its collectors. */
export interface Reading {
  /** Collectors whose stream is open. */
  readonly streams: number;
  /** Nodes that Kubernetes or the inventory tells of. */
  readonly nodes: number;
  /** Nodes that have had no collector for a while. */
  readonly lacking: number;
  /** Batches taken since the exporter's start. */
  readonly batches: number;
  /** Flows kept since then. */
  readonly flows: number;
}

/** The metric behind each number. */
const METRICS = {
  streams: 'egressd_exporter_receiver_streams',
  nodes: 'egressd_exporter_nodes',
  lacking: 'egressd_exporter_nodes_without_collector',
  batches: 'egressd_exporter_receiver_batches_total',
  flows: 'egressd_exporter_flows_total',
} as const;

/** Without it the page is some other program's. */
const OURS = METRICS.streams;

/**
 * Reads a page of metrics: text format 0.0.4 of Prometheus. Samples of one metric are added up, whatever their labels.
 * @returns undefined where it is not an exporter's page
 */
export function readPage(text: string): Reading | undefined {
  const totals = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, name, value] = /^(egressd_\w+)(?:\{.*\})? (\S+)/.exec(line) ?? [];
    if (name !== undefined) totals.set(name, (totals.get(name) ?? 0) + Number(value));
  }
  if (!totals.has(OURS)) return undefined;
  const of = (name: string) => totals.get(name) ?? 0;
  return {
    streams: of(METRICS.streams),
    nodes: of(METRICS.nodes),
    lacking: of(METRICS.lacking),
    batches: of(METRICS.batches),
    flows: of(METRICS.flows),
  };
}

/** Whether an installation works, in sentences. */
export interface Verdict {
  readonly ok: boolean;
  readonly lines: readonly string[];
}

/** Judges two readings of one exporter, the later one against the earlier. */
export function judge(before: Reading, now: Reading): Verdict {
  const [batches, flows] = [now.batches - before.batches, now.flows - before.flows];
  const lacking =
    now.lacking === 0 ? [] : [`note: nodes without a collector: ${now.lacking}; see the collector pods there`];
  if (now.streams === 0)
    return {
      ok: false,
      lines: ['failed: no collector streams to the exporter: the logs of the collectors say why', ...lacking],
    };
  const streaming = `ok: collectors stream to the exporter: ${now.streams}, and it knows of ${now.nodes} nodes`;
  if (batches > 0 && flows > 0)
    return {
      ok: true,
      lines: [streaming, `ok: counters move: batches +${batches}, flows +${flows}`, ...lacking],
    };
  const still =
    batches > 0
      ? 'failed: batches come and hold no flow of a pod: egressd_exporter_dropped_pairs_total at the exporter says by reason why not'
      : 'failed: counters do not move: is accounting on (the init container), and does any pod talk at all?';
  return { ok: false, lines: [streaming, still, ...lacking] };
}
