import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';

/** A command of the system that did not do what it was asked. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
}

/**
 * Runs a command to its end.
 * @param input what it reads on stdin
 * @returns what it wrote to stdout
 * @throws CommandFailed with the end of what it wrote to stderr
 */
export function runCommand(
  command: string,
  args: readonly string[],
  input = '',
  options: Pick<SpawnOptions, 'env'> = {},
): Promise<string> {
  const child = spawn(command, args, { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const out: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  child.stdin.on('error', () => {}); // it ended without reading: its exit code says why
  child.stdin.end(input);
  child.once('error', (error) => reject(new CommandFailed(`${command}: ${error.message}`)));
  child.once('close', (code, signal) => {
    if (code === 0) return resolve(Buffer.concat(out).toString('utf8'));
    const reason = Buffer.concat(errors).toString('utf8').trim().slice(-2000);
    reject(new CommandFailed(`${command} ${args.join(' ')} ended with ${code ?? signal}: ${reason}`));
  });
  return promise;
}

/** Waits until a process is gone. @returns false where it is still there after `limitMs` */
export async function waitForExit(child: ChildProcess, limitMs: number): Promise<boolean> {
  if (child.exitCode !== null || child.signalCode !== null) return true;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), limitMs);
  child.once('exit', () => resolve(true));
  const gone = await promise;
  clearTimeout(timer);
  return gone;
}

/** Asks a process to end, and ends it where it does not within `limitMs`. @returns whether it ended by itself */
export async function stopProcess(child: ChildProcess, limitMs: number): Promise<boolean> {
  child.kill('SIGTERM');
  if (await waitForExit(child, limitMs)) return true;
  child.kill('SIGKILL');
  await waitForExit(child, limitMs);
  return false;
}
