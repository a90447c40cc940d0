import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll } from '@jest/globals';

/** Loopback has addresses that are not loopback ones: connections of loopback with itself are not read. */
const SETUP = `
  ip link set lo up
  ip addr add 10.77.0.1/32 dev lo && ip addr add 10.77.0.2/32 dev lo
  sysctl -qw net.netfilter.nf_conntrack_acct=1 net.netfilter.nf_conntrack_timestamp=1 net.netfilter.nf_conntrack_events=1`;
/** Makes the namespace track connections; answers to closed ports are dropped. */
export const TRACK_ALL = `
  nft 'add table inet t; add chain inet t c { type filter hook output priority 0; }; add rule inet t c icmp type destination-unreachable drop; add rule inet t c ct state new accept'`;

const run = promisify(execFile);

/** A network namespace with a conntrack table of its own, as long as a test file runs. */
export interface ConntrackNamespace {
  readonly name: string;
  /** To enter it by. */
  readonly file: string;
  /** Runs a command in it to its end. */
  inside(...command: readonly string[]): Promise<{ stdout: string; stderr: string }>;
}

/** @param label a short word for the name @param more shell commands beside the usual set-up; without an nft rule nothing is tracked */
export function useConntrackNamespace(label: string, more: string): ConntrackNamespace {
  const name = `egressd-${label}-${process.pid}`;
  const inside: ConntrackNamespace['inside'] = (...command) =>
    run('ip', ['netns', 'exec', name, ...command], { maxBuffer: 2 ** 28 });
  beforeAll(async () => {
    await run('ip', ['netns', 'add', name]);
    await inside('sh', '-ec', `${SETUP}\n${more}`);
  });
  afterAll(async () => {
    await run('ip', ['netns', 'del', name]);
  });
  return { name, file: `/var/run/netns/${name}`, inside };
}
