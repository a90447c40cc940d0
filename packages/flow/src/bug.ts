/** A broken invariant of this program: never an input's, a peer's or the machine's fault. The message says which. */
export class Bug extends Error {
  override readonly name = 'Bug';

  constructor(invariant: string, options?: ErrorOptions) {
    super(`BUG: ${invariant}`, options);
  }
}
