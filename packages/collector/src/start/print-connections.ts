import { EXIT, type ExitCode } from '@egressd/daemon/lifecycle';
import type { Log } from '@egressd/daemon/log';
import { SourceError } from '../conntrack/source-error.ts';
import { dumpConnections } from '../dump-ct.ts';
import type { CollectorFlags } from '../flags.ts';
import { openSource } from './open-source.ts';

/** `-dump-ct`: prints all connections to stdout. @returns the exit code */
export async function printConnections(flags: CollectorFlags, log: Log): Promise<ExitCode> {
  try {
    const source = await openSource(flags, 'off', log, false);
    await dumpConnections(source, writeOut);
    await source.close();
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    log.error('cannot dump connections', { reason: error.code, error: error.message });
    return EXIT.failed;
  }
}

/** Writes to stdout and waits until it is taken. */
function writeOut(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });
}
