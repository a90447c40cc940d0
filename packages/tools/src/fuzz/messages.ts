/** What the thread that fuzzes is started with. */
export interface FuzzTask {
  readonly target: string;
  readonly seed: number;
  readonly milliseconds: number;
  /** The input that is being decoded: its length in the first word, how many came before it in the second, then its bytes. */
  readonly current: SharedArrayBuffer;
}

/** What it says at its end. */
export type FuzzResult =
  | { readonly kind: 'clean'; readonly runs: number; readonly blocks: number; readonly corpus: number }
  | { readonly kind: 'found'; readonly runs: number; readonly input: Uint8Array; readonly message: string };
