import type { Range } from '@egressd/flow/address';
import type { NodeRecord } from '../owners/owners.ts';
import type { OwnerSource } from '../owners/registry.ts';
import { asMap, asText } from './json.ts';
import type { Follower } from './list-watch.ts';
import { mergeRanges } from './merge-ranges.ts';
import type { OnProblem } from './pods.ts';
import { type NodeFacts, readNode } from './records.ts';

/** Where what is known of nodes goes: before the first whole state nowhere. */
export type NodeOwners = Pick<OwnerSource, 'upsertNode' | 'endNode' | 'setClusterRanges'>;

/** Nodes, from list and watch into the owners, with the ranges that their pods' addresses are from. */
export class NodeFollower implements Follower {
  readonly #problem: OnProblem;
  readonly #nodes = new Map<string, NodeFacts>();
  #seen: Set<string> | undefined;
  #owners: NodeOwners | undefined;

  constructor(problem: OnProblem) {
    this.#problem = problem;
  }

  /** All nodes, as far as was told. */
  get first(): NodeRecord[] {
    return [...this.#nodes.values()].map(({ node }) => node);
  }

  /** Names of all nodes. */
  get names(): string[] {
    return [...this.#nodes.keys()];
  }

  /** Whether there is a node of this name. */
  has(name: string): boolean {
    return this.#nodes.has(name);
  }

  /** The ranges of all of them. */
  get ranges(): Range[] {
    return mergeRanges([...this.#nodes.values()].flatMap(({ podRanges }) => podRanges));
  }

  /** Tells these from now on. They have `first` and `ranges` already. */
  tell(owners: NodeOwners): void {
    this.#owners = owners;
  }

  listing(): void {
    this.#seen = new Set();
  }

  present(object: unknown, atMs: number): void {
    const facts = readNode(object);
    if (facts === undefined) {
      this.#problem('malformed', 'a node without a name');
      return;
    }
    const { node } = facts;
    this.#seen?.add(node.name);
    const before = this.#nodes.get(node.name);
    // A kubelet reports every few minutes; only what has changed is said again.
    for (const problem of facts.problems)
      if (!before?.problems.includes(problem)) this.#problem(problem, `node ${node.name}`);
    this.#nodes.set(node.name, facts);
    this.#owners?.upsertNode(node, atMs);
    if (rangesDiffer(before, facts)) this.#owners?.setClusterRanges(this.ranges);
  }

  gone(object: unknown, atMs: number): void {
    const name = asText(asMap(asMap(object).metadata).name);
    this.#forget(name, atMs);
  }

  listed(beganMs: number): void {
    const seen = this.#seen ?? new Set();
    this.#seen = undefined;
    for (const name of [...this.#nodes.keys()]) if (!seen.has(name)) this.#forget(name, beganMs);
  }

  #forget(name: string, atMs: number): void {
    const facts = this.#nodes.get(name);
    this.#nodes.delete(name);
    this.#owners?.endNode(name, atMs);
    if (rangesDiffer(facts, undefined)) this.#owners?.setClusterRanges(this.ranges);
  }
}

function rangesDiffer(a: NodeFacts | undefined, b: NodeFacts | undefined): boolean {
  const text = (facts: NodeFacts | undefined) => (facts?.podRanges ?? []).map(({ bytes, bits }) => `${bytes}/${bits}`);
  return text(a).join() !== text(b).join();
}
