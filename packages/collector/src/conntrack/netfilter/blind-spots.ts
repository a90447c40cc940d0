/** Traffic that passes conntrack by, as the kernel's own links, flowtables and sysctls show it. */
import { readFileSync } from 'node:fs';
import type { KernelView } from '../source.ts';
import { type Flowtable, uncountedFlowtables } from './flowtables.ts';
import type { LinkFacts } from './links.ts';

const BRIDGE_SYSCTLS = {
  v4: '/proc/sys/net/bridge/bridge-nf-call-iptables',
  v6: '/proc/sys/net/bridge/bridge-nf-call-ip6tables',
} as const;
const IPVS_SYSCTL = '/proc/sys/net/ipv4/vs/conntrack';
/** The services of IPVS in the namespace of the calling thread; missing where ip_vs is not loaded. */
const IPVS_SERVICES = '/proc/thread-self/net/ip_vs';
/** A service in that file; its real servers are lines that begin with "  ->" (`ip_vs_info_seq_show`, net/netfilter/ipvs/ip_vs_ctl.c). */
const SERVICE_LINE = /^(TCP|UDP|SCTP|FWM) /m;

/** Links that Cilium, and Calico with eBPF, make on every node: both have a connection tracking of their own. */
const DATA_PLANES: ReadonlySet<string> = new Set(['cilium_host', 'bpfin.cali']);

const FAMILIES = ['v4', 'v6'] as const;
type Family = (typeof FAMILIES)[number];

/** What files of a network namespace hold, trimmed. null: there is no such file; undefined: it cannot be read. */
export interface BlindSpotFiles {
  /** Missing: br_netfilter is not loaded. */
  readonly bridgeSysctls: Readonly<Record<Family, string | null | undefined>>;
  readonly ipvsSysctl: string | null | undefined;
  readonly ipvsServices: string | null | undefined;
}

/** What the network namespace has. undefined: not known. */
export interface NamespaceFacts {
  readonly links: readonly LinkFacts[] | undefined;
  readonly flowtables: readonly Flowtable[] | undefined;
  readonly files: BlindSpotFiles;
}

export function kernelView({ links, flowtables, files }: NamespaceFacts): KernelView {
  return {
    spots: {
      bridge: uncountedBridges(links, files.bridgeSysctls),
      ipvs: uncountedIpvs(files),
      flowtable: flowtables === undefined ? undefined : uncountedFlowtables(flowtables),
    },
    podLinks: links?.filter(isPodLink),
    dataPlanes: links?.map(({ name }) => name).filter((name) => DATA_PLANES.has(name)) ?? [],
  };
}

function isPodLink({ kind, peerElsewhere }: LinkFacts): boolean {
  return kind === 'veth' && peerElsewhere;
}

/**
 * Bridges between pods whose packets conntrack does not see, and of which family: one pod's veth alone has nobody to talk to there. Pods'
 * own addresses are in their namespaces: the bridge has one of each family that they use, as their gateway.
 */
function uncountedBridges(links: readonly LinkFacts[] | undefined, sysctls: BlindSpotFiles['bridgeSysctls']) {
  const off = FAMILIES.filter((family) => sysctls[family] === '0' || sysctls[family] === null);
  const unknown = FAMILIES.some((family) => sysctls[family] === undefined);
  if (off.length === 0 && !unknown) return [];
  if (links === undefined || unknown) return undefined;
  const pods = (bridge: number) => links.filter((link) => link.master === bridge && isPodLink(link)).length;
  return links
    .filter(({ kind, up, index }) => kind === 'bridge' && up && pods(index) >= 2)
    .flatMap((bridge) =>
      off
        .filter((family) => uses(bridge, family) && !bridge.callsNetfilter[family])
        .map((family) => `${bridge.name}/ip${family}`),
    );
}

/** A bridge without any address may have pods with IPv4 all the same. */
function uses({ has }: LinkFacts, family: Family): boolean {
  return has[family] || (family === 'v4' && !has.v6);
}

/** Without its sysctl (a kernel without `CONFIG_IP_VS_NFCT`) IPVS makes no entries either. */
function uncountedIpvs({ ipvsServices, ipvsSysctl }: BlindSpotFiles) {
  if (ipvsServices === null) return [];
  if (ipvsServices === undefined) return undefined;
  if (!SERVICE_LINE.test(ipvsServices)) return [];
  if (ipvsSysctl === undefined) return undefined;
  return ipvsSysctl === null || ipvsSysctl === '0' ? ['net.ipv4.vs.conntrack'] : [];
}

/** Reads them in the network namespace of the calling thread, which decides at each opening. */
export function readBlindSpotFiles(): BlindSpotFiles {
  return {
    bridgeSysctls: { v4: readIfThere(BRIDGE_SYSCTLS.v4), v6: readIfThere(BRIDGE_SYSCTLS.v6) },
    ipvsSysctl: readIfThere(IPVS_SYSCTL),
    ipvsServices: readIfThere(IPVS_SERVICES),
  };
}

function readIfThere(path: string): string | null | undefined {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? null : undefined;
  }
}
