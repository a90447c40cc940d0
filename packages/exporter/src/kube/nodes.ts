import type { Range } from '@egressd/flow/address';
import type { OwnerSource } from '../owners/owner-source.ts';
import type { NodeRecord } from '../owners/owners.ts';
import { asMap, asText } from './json.ts';
import type { ResourceHandler } from './list-watch.ts';
import { mergeRanges } from './merge-ranges.ts';
import { type NodeFacts, readNode } from './node-record.ts';
import type { OnProblem } from './problems.ts';

/** Where nodes go, once they are synced. */
type NodeOwners = Pick<OwnerSource, 'upsertNode' | 'endNode' | 'setClusterRanges'>;

/** Nodes, from list and watch to the owners, with the ranges of their pods' addresses (`podCIDRs`). */
export class NodeHandler implements ResourceHandler {
  readonly #onProblem: OnProblem;
  readonly #nodes = new Map<string, NodeFacts>();
  /** Names in the list that is being read. */
  #listed: Set<string> | undefined;
  #owners: NodeOwners | undefined;

  constructor(onProblem: OnProblem) {
    this.#onProblem = onProblem;
  }

  /** All nodes. */
  get records(): NodeRecord[] {
    return [...this.#nodes.values()].map(withPodRanges);
  }

  /** Names of the nodes on which a collector should run. */
  get names(): string[] {
    return [...this.#nodes].filter(([, { runsCollectors }]) => runsCollectors).map(([name]) => name);
  }

  /** Whether there is a node of this name. */
  has(name: string): boolean {
    return this.#nodes.has(name);
  }

  /** The pods' ranges of all nodes. */
  get ranges(): Range[] {
    return mergeRanges([...this.#nodes.values()].flatMap(({ podRanges }) => podRanges));
  }

  /** Changes go to these owners from now on. They have `records` and `ranges` already. */
  attach(owners: NodeOwners): void {
    this.#owners = owners;
  }

  beginList(): void {
    this.#listed = new Set();
  }

  upsert(object: unknown, atMs: number): void {
    const facts = readNode(object);
    if (facts === undefined) {
      this.#onProblem('malformed', 'a node without a name');
      return;
    }
    const { node } = facts;
    this.#listed?.add(node.name);
    const before = this.#nodes.get(node.name);
    // A kubelet updates its node every few minutes; only new problems are reported.
    for (const problem of facts.problems)
      if (!before?.problems.includes(problem)) this.#onProblem(problem, `node ${node.name}`);
    this.#nodes.set(node.name, facts);
    this.#owners?.upsertNode(withPodRanges(facts), atMs);
    if (rangesDiffer(before, facts)) this.#owners?.setClusterRanges(this.ranges);
  }

  delete(object: unknown, atMs: number): void {
    this.#delete(asText(asMap(asMap(object).metadata).name), atMs);
  }

  tooLarge(): void {
    this.#onProblem('too_large', 'a node');
  }

  endList(beganMs: number): void {
    const listed = this.#listed ?? new Set();
    this.#listed = undefined;
    for (const name of [...this.#nodes.keys()]) if (!listed.has(name)) this.#delete(name, beganMs);
  }

  #delete(name: string, atMs: number): void {
    const facts = this.#nodes.get(name);
    this.#nodes.delete(name);
    this.#owners?.endNode(name, atMs);
    if (rangesDiffer(facts, undefined)) this.#owners?.setClusterRanges(this.ranges);
  }
}

function withPodRanges({ node, podRanges }: NodeFacts): NodeRecord {
  return { ...node, podRanges };
}

function rangesDiffer(a: NodeFacts | undefined, b: NodeFacts | undefined): boolean {
  const text = (facts: NodeFacts | undefined) => (facts?.podRanges ?? []).map(({ bytes, bits }) => `${bytes}/${bits}`);
  return text(a).join() !== text(b).join();
}
