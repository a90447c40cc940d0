import { compare, type Row } from '@egressd/world/daemons/comparison';
import type { Agent } from '@egressd/world/traffic/agent-process';
import { type Exporter, startCollector, startExporter } from './daemons.ts';
import { LOAD_ENDS, readEnds } from './ends.ts';
import { CONNECT_HOSTS, DISCONNECT_HOSTS, type Host, MAKE_HOSTS, NODE_NAME, onNode, PODS } from './node.ts';
import { type Step, startAgents } from './traffic.ts';

/** One shape of a node's network, and whether egressd can count in it. */
export interface Case {
  readonly name: string;
  /** A script that connects the pods with each other and the outside. */
  readonly build: string;
  readonly traffic: readonly Step[];
  /**
   * `payload`: of packets without payload a few are in no zone of the kernel's table. `missing`: some bytes pass conntrack by, for this
   * reason, which the collector's metrics have to say. Else they may not.
   */
  readonly expected: 'exact' | 'payload' | { readonly missing: string };
  /** A script that removes what else is left. */
  readonly remove?: string;
}

/** What came of a case: a JSON line. */
export interface CaseResult {
  readonly world: string;
  readonly name: string;
  readonly expected: Case['expected'];
  readonly rows: readonly Row[];
  /** Lines of the collector's metrics that say what it cannot count. */
  readonly blindSpots: readonly string[];
  /** All of them. */
  readonly metrics: string;
  /** Lines of the collector's log from `warn` on. */
  readonly warnings: readonly string[];
  readonly error?: string;
}

/** A metric of what passes the source of connections by. */
const BLIND_SPOT = /^egressd_collector_blind_spot\{[^}]*\} [1-9]/;

/** What all cases of a guest share. */
export interface Stage {
  readonly agents: ReadonlyMap<Host, Agent>;
  readonly exporter: Exporter;
}

export async function openStage(): Promise<Stage> {
  await onNode(MAKE_HOSTS);
  return { agents: await startAgents(), exporter: await startExporter() };
}

/** Runs one case from the first link to the last byte. Never rejects. */
export async function runCase(stage: Stage, world: string, one: Case): Promise<CaseResult> {
  const { name, expected } = one;
  const nothing = { world, name, expected, rows: [], blindSpots: [], metrics: '', warnings: [] };
  try {
    return { ...nothing, ...(await measure(stage, one)) };
  } catch (error) {
    return { ...nothing, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  } finally {
    for (const script of [one.remove ?? '', DISCONNECT_HOSTS]) await onNode(script).catch(() => {});
  }
}

async function measure(
  { agents, exporter }: Stage,
  { build, traffic }: Case,
): Promise<Pick<CaseResult, 'rows' | 'blindSpots' | 'metrics' | 'warnings'>> {
  await onNode(`${CONNECT_HOSTS}${build}${LOAD_ENDS}`);
  say('starting the collector');
  const collector = await startCollector(exporter);
  try {
    for (const { from, order } of traffic) {
      say(`${from}: ${order.do} to ${order.to}`);
      await agents.get(from)!.order(order);
    }
    say('waiting for the last bytes');
    const database = await collector.settled();
    const ours = new Map([...database].filter(([, { source }]) => ADDRESSES.has(source)));
    const metrics = await collector.metrics();
    return {
      rows: compare({ node: NODE_NAME, pods: ADDRESSES, reference: await readEnds(), database: ours }),
      blindSpots: metrics.split('\n').filter((line) => BLIND_SPOT.test(line)),
      metrics,
      warnings: collector.log.filter((line) => / level=(warn|error) /.test(line)),
    };
  } finally {
    await collector.stop();
  }
}

const ADDRESSES: ReadonlySet<string> = new Set(Object.values(PODS));

/** Emulated, each step takes a while: what it is at. */
function say(line: string): void {
  process.stdout.write(`  ${line}\n`);
}
