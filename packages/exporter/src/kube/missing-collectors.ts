/** A node is without a collector only after this: it may just be starting. */
export const ABSENT_MS = 5 * 60_000;

/**
 * Which nodes have no collector, and since when.
 *
 *   node -> since when nobody speaks for it
 */
export class Absent {
  readonly #since = new Map<string, number>();

  /** @returns nodes for which nobody has spoken for `ABSENT_MS` */
  check(nodes: readonly string[], speaking: ReadonlySet<string>, nowMs: number): string[] {
    const silent = new Set(nodes.filter((node) => !speaking.has(node)));
    for (const node of this.#since.keys()) if (!silent.has(node)) this.#since.delete(node);
    for (const node of silent) if (!this.#since.has(node)) this.#since.set(node, nowMs);
    return [...silent].filter((node) => nowMs - this.#since.get(node)! >= ABSENT_MS);
  }
}
