/** A node counts as one without a collector only after this: its collector may just be starting. */
export const MISSING_AFTER_MS = 5 * 60_000;

/**
 * Nodes from which no collector streams, and since when.
 *
 *   node -> Unix milliseconds at which its stream was first missing
 */
export class MissingCollectors {
  readonly #since = new Map<string, number>();

  /** @param streaming nodes whose collectors stream @returns nodes without a collector for `MISSING_AFTER_MS` */
  check(nodes: readonly string[], streaming: ReadonlySet<string>, nowMs: number): string[] {
    const missing = new Set(nodes.filter((node) => !streaming.has(node)));
    for (const node of this.#since.keys()) if (!missing.has(node)) this.#since.delete(node);
    for (const node of missing) if (!this.#since.has(node)) this.#since.set(node, nowMs);
    return [...missing].filter((node) => nowMs - this.#since.get(node)! >= MISSING_AFTER_MS);
  }
}
