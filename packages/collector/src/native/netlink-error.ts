import { constants } from 'node:os';
import { SourceError, type SourceErrorCode } from '../conntrack/source-error.ts';
import { errnoName } from './library.ts';

const { EPERM, EACCES, EPROTONOSUPPORT, EAFNOSUPPORT, EOPNOTSUPP, EINVAL, ENOENT } = constants.errno;

/** The error that an errno of the kernel stands for: what was tried, what the kernel said, and what to do. */
export function netlinkError(what: string, errno: number): SourceError {
  const code = errorCode(errno);
  const hints: Partial<Record<SourceErrorCode, string>> = {
    permission: ': run as root, or with the capability NET_ADMIN',
    unsupported: ': the kernel has no conntrack over netlink; load the modules nf_conntrack and nf_conntrack_netlink',
  };
  return new SourceError(code, `${what}: ${errnoName(errno)}${hints[code] ?? ''}`);
}

function errorCode(errno: number): SourceErrorCode {
  if (errno === EPERM || errno === EACCES) return 'permission';
  const missing = [EPROTONOSUPPORT, EAFNOSUPPORT, EOPNOTSUPP, EINVAL, ENOENT];
  return missing.includes(errno) ? 'unsupported' : 'system';
}
