import { EXIT, type ExitCode } from '@egressd/daemon/lifecycle';
import type { Log } from '@egressd/daemon/log';
import { cleanUp } from '../conntrack/ebpf/source.ts';
import type { CollectorFlags } from '../flags.ts';

/** `-cleanup`: removes what counting by eBPF has left on the node. @returns the exit code: 0 also where there was nothing */
export async function cleanUpNode({ hostPid, ebpfBpfFs, cleanupWait }: CollectorFlags, log: Log): Promise<ExitCode> {
  try {
    const removed = cleanUp({ hostPid, bpfFolder: ebpfBpfFs });
    log.info('removed what counting by eBPF has left', { folders: removed.join(' ') || 'none' });
    await waitOrStop(cleanupWait);
    return EXIT.ok;
  } catch (error) {
    log.error('cannot remove what counting by eBPF has left', { error: String(error) });
    return EXIT.failed;
  }
}

/** Until the time is over, or the process is asked to end. */
async function waitOrStop(ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, resolve);
  await promise;
  clearTimeout(timer);
}
