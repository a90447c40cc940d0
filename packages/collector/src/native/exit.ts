/** _exit(2): the end of a process that nothing may hold up. */
import { DataType } from 'ffi-rs';
import { LIBC, native, openLibc } from './library.ts';

const exitOf = native<undefined>(LIBC, '_exit', DataType.Void, [DataType.I32]);

/**
 * Ends the process at once. `process.exit` first joins V8's threads, and one of those may wait for the main thread to collect garbage: then
 * both wait for ever (seen once with Node.js 24.21 and the image's small heap), and an init container has no deadline.
 * What was written to stdout and stderr is out: Node.js writes to pipes and files before it returns.
 */
export function exitAtOnce(code: number): void {
  openLibc();
  exitOf(code);
}
