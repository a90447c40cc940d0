import type { Disk } from './disk.ts';

/** The gate of a disk that is fast. */
export const OPEN: Promise<void> = Promise.resolve();

/**
 * Files in memory, for tests: of a process that is killed in the middle of any write, and of a disk that fails or is slow. A write
 * costs its bytes, and every operation 1.
 */
export class MemoryDisk implements Disk {
  readonly files: Map<string, Uint8Array>;
  /** What may still be written before the process is killed: the rest of that write and all after it never happen. */
  budget = Number.POSITIVE_INFINITY;
  /** Set: every write fails, having written half. */
  failing: Error | undefined;
  /** Writes wait for it. */
  gate: Promise<void> = OPEN;
  /** Resolves when the process is killed. */
  readonly killed: Promise<void>;
  #kill: () => void;

  constructor(files: ReadonlyMap<string, Uint8Array> = new Map()) {
    this.files = new Map(files);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.killed = promise;
    this.#kill = resolve;
  }

  async list(folder: string): Promise<readonly string[]> {
    const inside = [...this.files.keys()].filter((name) => name.startsWith(`${folder}/`));
    return inside.map((name) => name.slice(folder.length + 1));
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    return this.files.get(name)?.slice();
  }

  async writeThrough(name: string, parts: readonly Uint8Array[]): Promise<void> {
    await this.#write(name, 0, Buffer.concat(parts), true);
  }

  async append(name: string, at: number, parts: readonly Uint8Array[]): Promise<void> {
    if (!this.files.has(name)) throw new Error(`ENOENT: ${name}`);
    await this.#write(name, at, Buffer.concat(parts), false);
  }

  async replace(name: string, parts: readonly Uint8Array[]): Promise<void> {
    await this.#write(`${name}.new`, 0, Buffer.concat(parts), true);
    await this.putAside(`${name}.new`, name);
  }

  async remove(name: string): Promise<void> {
    await this.#spend(1);
    this.files.delete(name);
  }

  async putAside(name: string, as: string): Promise<void> {
    await this.#spend(1);
    this.files.set(as, this.files.get(name)!);
    this.files.delete(name);
  }

  async #write(name: string, at: number, bytes: Uint8Array, anew: boolean): Promise<void> {
    await this.gate;
    const room = this.failing === undefined ? this.budget : Math.min(this.budget, bytes.length / 2);
    if (room > 0) this.#put(name, at, bytes.subarray(0, room), anew);
    if (this.failing !== undefined) throw this.failing;
    await this.#spend(1 + bytes.length);
  }

  #put(name: string, at: number, bytes: Uint8Array, anew: boolean): void {
    const before = anew ? new Uint8Array() : this.files.get(name)!;
    const after = new Uint8Array(Math.max(before.length, at + bytes.length));
    after.set(before);
    after.set(bytes, at);
    this.files.set(name, after);
  }

  /** Never resolves for a process that was killed. */
  async #spend(cost: number): Promise<void> {
    this.budget -= cost;
    if (this.budget > 0) return;
    this.#kill();
    await new Promise(() => {});
  }
}
