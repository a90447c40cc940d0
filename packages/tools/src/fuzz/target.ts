/** A decoder under test: untrusted bytes go in, and what must hold whatever they are is checked. */
export interface Target {
  readonly name: string;
  /** What it decodes, in a few words. */
  readonly about: string;
  /** Good inputs, small ones: what mutations begin with. */
  seeds(): readonly Uint8Array[];
  /** Pieces of text that mean something to the decoder, so that they need not be found letter by letter. */
  readonly words?: readonly string[];
  /** Makes a mutated input pass a checksum or a length that would keep it from the decoder behind. */
  mend?(input: Uint8Array): Uint8Array;
  /**
   * Decodes an input.
   * @throws Error where something is broken: an exception that is not the decoder's way to say no, or a rule that does not hold
   */
  run(input: Uint8Array): void | Promise<void>;
}

/** @throws Error with `what` unless it holds */
export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

/** @throws Error with `what` unless both are the same, as JSON sees them */
export function mustEqual(a: unknown, b: unknown, what: string): void {
  const [left, right] = [JSON.stringify(a), JSON.stringify(b)];
  if (left !== right) throw new Error(`${what}: ${left?.slice(0, 200)} and ${right?.slice(0, 200)}`);
}

/** The text as bytes. */
export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The bytes as text, whatever they are. */
export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
