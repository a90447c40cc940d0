/** An address that more nodes than this report at the same time is no node's in particular. */
export const MAX_REPORTERS = 16;

/** What changed for whom: addresses that are a node's own now, or no more. */
export interface KernelChange {
  readonly node: string;
  readonly begun: readonly string[];
  readonly ended: readonly string[];
}

/** Who reports an address. */
interface Reported {
  /** The one string of this address, which all nodes share. */
  readonly key: string;
  /** How many nodes report it. */
  count: number;
  /** Which ones; undefined once there were more than `MAX_REPORTERS`, until none reports it. */
  nodes: Set<string> | undefined;
}

/**
 * The addresses that nodes' own kernels report.
 *
 *   node-1  ->  10.0.0.1 | 10.96.0.1 | 10.96.0.2         10.0.0.1   <-  node-1                its own
 *   node-2  ->  10.0.0.2 | 10.96.0.1 | 10.96.0.2         10.96.0.1  <-  node-1, node-2, ...   shared: nobody's
 *
 * Where kube-router or IPVS keep the cluster's Services on an interface of each node, hundreds of nodes report the same thousands of
 * addresses. Those say nothing of a node, and as spans of each of them they would take its share of memory and of every look-up.
 */
export class KernelAddresses {
  readonly #byNode = new Map<string, readonly string[]>();
  readonly #reported = new Map<string, Reported>();

  /** Nodes that have reported. */
  get size(): number {
    return this.#byNode.size;
  }

  /** The node that has not reported for the longest time. */
  get oldest(): string | undefined {
    return this.#byNode.keys().next().value;
  }

  has(node: string): boolean {
    return this.#byNode.has(node);
  }

  /** Those that are the node's own. */
  get(node: string): readonly string[] {
    return (this.#byNode.get(node) ?? []).filter((key) => this.#reported.get(key)?.nodes !== undefined);
  }

  /** The node reports these instead of those before. @returns what changed: of this node, and of those that it turns out to share with */
  set(node: string, addresses: readonly string[]): readonly KernelChange[] {
    const before = this.#byNode.get(node) ?? [];
    const after = new Set(addresses);
    const ended = this.#forget(
      node,
      before.filter((key) => !after.has(key)),
    );
    const known = new Set(before);
    const fresh = [...after].filter((key) => !known.has(key));
    const shared = fresh.flatMap((key) => this.#add(node, key));
    // Behind those that have not reported since.
    this.#byNode.delete(node);
    this.#byNode.set(
      node,
      [...after].map((key) => this.#reported.get(key)?.key ?? key),
    );
    const begun = fresh.filter((key) => this.#reported.get(key)?.nodes !== undefined);
    return [{ node, begun, ended }, ...shared];
  }

  /** The node reports no more. @returns those that were its own */
  delete(node: string): readonly string[] {
    const ended = this.#forget(node, this.#byNode.get(node) ?? []);
    this.#byNode.delete(node);
    return ended;
  }

  #add(node: string, key: string): KernelChange[] {
    const known = this.#reported.get(key);
    if (known === undefined) {
      this.#reported.set(key, { key, count: 1, nodes: new Set([node]) });
      return [];
    }
    known.count++;
    known.nodes?.add(node);
    if (known.nodes === undefined || known.nodes.size <= MAX_REPORTERS) return [];
    const others = [...known.nodes].filter((name) => name !== node);
    known.nodes = undefined;
    return others.map((name) => ({ node: name, begun: [], ended: [known.key] }));
  }

  /** @returns those that were the node's own */
  #forget(node: string, keys: readonly string[]): string[] {
    return keys.filter((key) => {
      const known = this.#reported.get(key);
      if (known === undefined) return false;
      if (--known.count === 0) this.#reported.delete(key);
      return known.nodes?.delete(node) ?? false;
    });
  }
}
