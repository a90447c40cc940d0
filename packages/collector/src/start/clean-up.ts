import { EXIT, type ExitCode } from '@egressd/daemon/lifecycle';
import type { Log } from '@egressd/daemon/log';
import { cleanUp } from '../conntrack/ebpf/source.ts';
import type { CollectorFlags } from '../flags.ts';

/** `-cleanup`: removes what counting by eBPF has left on the node. @returns the exit code: 0 also where there was nothing */
export function cleanUpNode({ hostPid, ebpfBpfFs }: CollectorFlags, log: Log): ExitCode {
  try {
    const removed = cleanUp({ hostPid, bpfFolder: ebpfBpfFs });
    log.info('removed what counting by eBPF has left', { folders: removed.join(' ') || 'none' });
    return EXIT.ok;
  } catch (error) {
    log.error('cannot remove what counting by eBPF has left', { error: String(error) });
    return EXIT.failed;
  }
}
