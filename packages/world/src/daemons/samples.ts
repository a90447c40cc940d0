import { protocolName } from '@egressd/flow/protocol';
import { transferKey } from '../reference/transfers.ts';

/** The four totals that a node's exporter series hold for a pair. */
export interface PairTotals {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly rxBytes: number;
  readonly rxPackets: number;
}

type Counter = 'txBytes' | 'txPackets' | 'rxBytes' | 'rxPackets';

const METRICS: Readonly<Record<string, Counter>> = {
  egressd_transmit_bytes_total: 'txBytes',
  egressd_transmit_packets_total: 'txPackets',
  egressd_received_bytes_total: 'rxBytes',
  egressd_received_packets_total: 'rxPackets',
};

/** Protocols that the world speaks, by the name they have in the database. */
const NUMBERS = new Map([1, 6, 17, 58].map((number) => [protocolName(number), number]));

/** 2100: a sample whose time is ahead of the database's clock is one too. */
const LATEST_S = 4_102_444_800;

let asked = 0;

/**
 * Where all raw samples of our series are, since the beginning. VictoriaMetrics remembers for up to 10 s which series a selector had,
 * even where it had none: each time another label that no series has is part of it.
 * @param selector of labels, to leave some out: `src_ip!="10.0.0.1"`
 */
export function allSamples(selector = ''): string {
  const labels = [`__name__=~"egressd_(transmit|received)_.*"`, `asked!="${++asked}"`, selector].filter(Boolean);
  return `/api/v1/export?match[]=${encodeURIComponent(`{${labels.join(',')}}`)}&end=${LATEST_S}`;
}

/** A series with its raw samples, one JSON line each: https://docs.victoriametrics.com/#how-to-export-data-in-json-line-format */
export interface ExportedSeries {
  readonly metric: Readonly<Record<string, string>>;
  /** null: a stale marker. */
  readonly values: readonly (number | null)[];
  readonly timestamps: readonly number[];
}

/**
 * What a series has counted in all: the sum of the rises of its raw samples; after a fall it counts from zero again. What the first
 * sample holds is no rise, as in `increase()`: a series must begin with a zero.
 */
export function totalRise(values: readonly (number | null)[]): number {
  let total = 0;
  let before: number | undefined;
  for (const value of values) {
    if (value === null) continue;
    if (before !== undefined) total += value < before ? value : value - before;
    before = value;
  }
  return total;
}

/** Samples in the order of their times: a database may keep them in blocks. */
export function inOrder({ values, timestamps }: ExportedSeries): (number | null)[] {
  const order = timestamps.map((_, i) => i).sort((a, b) => timestamps[a]! - timestamps[b]!);
  return order.map((i) => values[i]!);
}

/**
 * The totals in the database.
 * @param lines the answer to `allSamples`
 * @returns by source node, then by pair and protocol
 * @throws Error for a series that is not one of ours
 */
export function readTotals(lines: string): Map<string, Map<string, PairTotals>> {
  const nodes = new Map<string, Map<string, PairTotals>>();
  for (const line of lines.split('\n').filter(Boolean)) {
    const series = JSON.parse(line) as ExportedSeries;
    const { __name__ = '', src_node = '', src_ip = '', dst_ip = '', proto = '' } = series.metric;
    const counter = METRICS[__name__];
    const protocol = NUMBERS.get(proto) ?? Number(proto);
    if (counter === undefined || Number.isNaN(protocol))
      throw new Error(`not a series of the demo: ${line.slice(0, 500)}`);
    const pairs = nodes.get(src_node) ?? new Map<string, PairTotals>();
    nodes.set(src_node, pairs);
    const key = transferKey(src_ip, dst_ip, protocol);
    const totals = pairs.get(key) ?? { ...NONE, source: src_ip, destination: dst_ip, protocol };
    pairs.set(key, { ...totals, [counter]: totals[counter] + totalRise(inOrder(series)) });
  }
  return nodes;
}

/** Nothing, in all four. */
export const NONE = { txBytes: 0, txPackets: 0, rxBytes: 0, rxPackets: 0 } as const;
