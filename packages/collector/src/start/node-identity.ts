import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Log } from '@egressd/daemon/log';

/** The node that this collector runs on, and which boot of its kernel. */
export function nodeIdentity(log: Log): { readonly node: string; readonly bootId: string } {
  return { node: nodeName(log), bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() };
}

function nodeName(log: Log): string {
  const name = process.env.NODE_NAME;
  if (name) return name;
  log.warn('NODE_NAME is not set, using the host name as the node name', { node: hostname() });
  return hostname();
}

/** The network namespace that is read, as the kernel names it (`net:[4026531840]`): unique within a boot. Empty where unknown. */
export function networkNamespace(hostPid: boolean): string {
  try {
    return readlinkSync(hostPid ? '/proc/1/ns/net' : '/proc/self/ns/net');
  } catch {
    return '';
  }
}
