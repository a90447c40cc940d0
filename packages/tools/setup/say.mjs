/** One line to the user: stdout belongs to the verb. */
export function say(text) {
  process.stderr.write(`egressd: ${text}\n`);
}

/** What keeps a verb from starting. The message says what is missing and what to do. */
export class SetupError extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}
