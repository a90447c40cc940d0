import type { Random } from '@egressd/world/traffic/random';
import { mutate, type Others } from './mutate.ts';
import { bytesOf, type Target } from './target.ts';

/** Inputs that are kept for having run something new. */
const MAX_CORPUS = 5000;
/** One input in so many goes to the decoder without its checksum mended. */
const UNMENDED_ONE_IN = 4;
/** Most inputs between two looks at the coverage. */
const MAX_BATCH = 2000;
const FIRST_BATCH = 16;

/** Code that ran in a while. */
export interface Ran {
  /** Whether this block was part of it. */
  has(block: string): boolean;
}

/** What the fuzzer needs to know of code that runs. */
export interface CodeThatRan {
  /** What ran since it was last asked. */
  take(): Ran;
  /** @returns blocks that had never run before; they have from now on */
  learn(ran: Ran): string[];
}

/** An input that broke something. */
interface Finding {
  readonly input: Uint8Array;
  readonly message: string;
}

interface FuzzerOptions {
  readonly target: Target;
  readonly random: Random;
  readonly coverage: CodeThatRan;
  /** Called before an input goes to the decoder, so that the supervisor knows it where the decoder never returns. */
  readonly before?: (input: Uint8Array) => void;
  /** Milliseconds, of any clock. */
  readonly now: () => number;
}

/**
 * Mutates good inputs, and keeps those that make code run which had not run before, to mutate them further:
 *
 *   corpus ──pick──> mutate ──> mend ──> decoder ──> new code? ──> corpus
 *
 * To look at the coverage takes longer than most decoders do: many inputs run between two looks, as many as take about as long as
 * the look itself. Where a batch ran something new, its inputs run again one by one.
 */
export class Fuzzer {
  /** Inputs that were decoded. */
  runs = 0;
  /** Blocks of code that were new when they ran. */
  blocks = 0;
  readonly corpus: Uint8Array[];
  readonly #options: FuzzerOptions;
  readonly #others: Others;
  #batch = FIRST_BATCH;

  constructor(options: FuzzerOptions) {
    this.#options = options;
    this.corpus = [...options.target.seeds()];
    this.#others = { corpus: this.corpus, words: (options.target.words ?? []).map(bytesOf) };
  }

  /** Decodes the seeds. They are good inputs: @returns one that is refused loudly, where there is one */
  async begin(): Promise<Finding | undefined> {
    for (const input of this.corpus) {
      const finding = await this.#run(input);
      if (finding !== undefined) return finding;
    }
    this.#learn();
    return undefined;
  }

  /** One batch. @returns what broke, where something did */
  async step(): Promise<Finding | undefined> {
    const { now } = this.#options;
    const inputs = Array.from({ length: this.#batch }, () => this.#next());
    const began = now();
    for (const input of inputs) {
      const finding = await this.#run(input);
      if (finding !== undefined) return finding;
    }
    const ran = now();
    const found = this.#learn();
    this.#fitBatch(ran - began, now() - ran);
    return found.length === 0 ? undefined : this.#keepThoseThatRan(found, inputs);
  }

  #next(): Uint8Array {
    const { target, random } = this.#options;
    const input = mutate(random.pick(this.corpus), random, this.#others);
    const mended = target.mend !== undefined && random.between(1, UNMENDED_ONE_IN) > 1;
    return mended ? target.mend!(input) : input;
  }

  async #run(input: Uint8Array): Promise<Finding | undefined> {
    this.#options.before?.(input);
    this.runs++;
    try {
      await this.#options.target.run(input);
      return undefined;
    } catch (error) {
      return { input, message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  }

  /** @returns blocks that ran for the first time */
  #learn(): string[] {
    const { coverage } = this.#options;
    const blocks = coverage.learn(coverage.take());
    this.blocks += blocks.length;
    return blocks;
  }

  /** Runs the inputs again, one by one, until it is known which ran each new block. */
  async #keepThoseThatRan(found: readonly string[], inputs: readonly Uint8Array[]): Promise<Finding | undefined> {
    let left = found;
    for (const input of inputs) {
      if (left.length === 0) break;
      const finding = await this.#run(input);
      if (finding !== undefined) return finding;
      const ran = this.#options.coverage.take();
      const others = left.filter((block) => !ran.has(block));
      if (others.length < left.length) this.#keep(input);
      left = others;
    }
    return undefined;
  }

  #keep(input: Uint8Array): void {
    if (this.corpus.length < MAX_CORPUS) this.corpus.push(input);
    else this.corpus[this.#options.random.between(0, MAX_CORPUS - 1)] = input;
  }

  #fitBatch(ranMs: number, lookedMs: number): void {
    const perInput = Math.max(ranMs / this.#batch, 1e-4);
    this.#batch = Math.max(1, Math.min(MAX_BATCH, Math.ceil(lookedMs / perInput)));
  }
}
