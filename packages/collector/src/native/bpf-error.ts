import { constants } from 'node:os';
import { SourceError, type SourceErrorCode } from '../conntrack/source-error.ts';
import { errnoName } from './library.ts';

const { EPERM, EACCES, EINVAL, ENOSYS } = constants.errno;
/** The kernel's own, not of POSIX: this kind of map knows no batches. */
export const ENOTSUPP = 524;

/** The error that an errno of the kernel stands for: what was tried, what the kernel said, and what to do. */
export function bpfError(what: string, errno: number): SourceError {
  const code = errorCode(errno);
  const hints: Partial<Record<SourceErrorCode, string>> = {
    permission: ': run as root; kernels before 5.19 also want the capability BPF, those before 5.8 SYS_ADMIN',
    unsupported: ': the kernel does not know this',
  };
  return new SourceError(code, `${what}: ${errnoName(errno)}${hints[code] ?? ''}`);
}

function errorCode(errno: number): SourceErrorCode {
  if (errno === EPERM || errno === EACCES) return 'permission';
  return [EINVAL, ENOSYS, ENOTSUPP].includes(errno) ? 'unsupported' : 'system';
}
