import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import { waitForExit } from './network/commands.ts';

/** A coprocess: a program that answers each line on its stdin with a line of numbers. */
export class Coprocess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines: Interface = createInterface({ input: this.#child.stdout! });
    this.#lines = lines[Symbol.asyncIterator]();
  }

  async ask(question = ''): Promise<number[]> {
    this.#child.stdin!.write(`${question}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`${this.#child.spawnargs.join(' ')} ended before it answered`);
    return String(value).split(' ').map(Number);
  }

  async end(): Promise<void> {
    this.#child.stdin!.end();
    if (!(await waitForExit(this.#child, 5000))) this.#child.kill('SIGKILL');
  }
}
