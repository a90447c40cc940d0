/** Traffic that passes conntrack by, as the kernel's own links and sysctls show it. */
import { readFileSync } from 'node:fs';
import { parseBridge, parseInfo } from 'netlink/dist/rt/ifla.js';
import { RtNetlinkSocket } from 'netlink/dist/rt/rt.js';
import { DumpSocket } from '../node-addresses.ts';
import type { BlindSpots } from '../source.ts';

const ANSWER_TIMEOUT_MS = 5000;
const BRIDGE_SYSCTL = '/proc/sys/net/bridge/bridge-nf-call-iptables';
const IPVS_SYSCTL = '/proc/sys/net/ipv4/vs/conntrack';
/** The services of IPVS in the namespace of the calling thread; missing where ip_vs is not loaded. */
const IPVS_SERVICES = '/proc/thread-self/net/ip_vs';
/** A service in that file; its real servers are lines that begin with "  ->" (`ip_vs_info_seq_show`, net/netfilter/ipvs/ip_vs_ctl.c). */
const SERVICE_LINE = /^(TCP|UDP|SCTP|FWM) /m;

/** What files of a network namespace hold, trimmed. null: there is no such file; undefined: it cannot be read. */
export interface BlindSpotFiles {
  /** Missing: br_netfilter is not loaded. */
  readonly bridgeSysctl: string | null | undefined;
  readonly ipvsSysctl: string | null | undefined;
  readonly ipvsServices: string | null | undefined;
}

/** A link as the kernel describes it (linux/if_link.h). */
export interface LinkFacts {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  /** `IFLA_INFO_KIND`: "bridge", "veth". */
  readonly kind: string | undefined;
  /** Index of the bridge that it is a port of. */
  readonly master: number | undefined;
  /** Its peer is in another network namespace (`IFLA_LINK_NETNSID`). */
  readonly peerElsewhere: boolean;
  /** `IFLA_BR_NF_CALL_IPTABLES`: this bridge alone passes its packets through netfilter, whatever the sysctl says. */
  readonly callsNetfilter: boolean;
}

/** @param links undefined: not known */
export function blindSpots(links: readonly LinkFacts[] | undefined, files: BlindSpotFiles): BlindSpots {
  return { bridge: uncountedBridges(links, files.bridgeSysctl), ipvs: uncountedIpvs(files) };
}

/** Bridges between pods whose packets conntrack does not see: one pod's veth alone has nobody to talk to there. */
function uncountedBridges(links: readonly LinkFacts[] | undefined, sysctl: BlindSpotFiles['bridgeSysctl']) {
  if (sysctl !== undefined && sysctl !== null && sysctl !== '0') return [];
  if (links === undefined || sysctl === undefined) return undefined;
  const pods = (bridge: number) =>
    links.filter(({ master, kind, peerElsewhere }) => master === bridge && kind === 'veth' && peerElsewhere).length;
  return links
    .filter(({ kind, up, callsNetfilter }) => kind === 'bridge' && up && !callsNetfilter)
    .filter(({ index }) => pods(index) >= 2)
    .map(({ name }) => name);
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
    bridgeSysctl: readIfThere(BRIDGE_SYSCTL),
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

/** A socket for the links of the network namespace that it was opened in. */
export interface LinkSocket {
  /** undefined: the kernel does not say. */
  read(): Promise<LinkFacts[] | undefined>;
  close(): void;
}

/** Opens a socket in the network namespace of the calling thread. */
export function openLinkSocket(): LinkSocket {
  const dumps = new DumpSocket();
  const socket = new RtNetlinkSocket(dumps);
  return {
    async read() {
      const dump = dumps.whole(() => socket.getLinks({}, {}, { timeout: ANSWER_TIMEOUT_MS }));
      const links = await dump.catch(() => 'refused' as const);
      // A network namespace has its loopback.
      return typeof links === 'string' || links.length === 0 ? undefined : links.map(linkFacts);
    },
    close: () => dumps.close(),
  };
}

type Link = Awaited<ReturnType<RtNetlinkSocket['getLinks']>>[number];

function linkFacts({ data, attrs }: Link): LinkFacts {
  const { kind, data: details } = attrs.linkinfo === undefined ? {} : parseInfo(attrs.linkinfo);
  return {
    index: data.index ?? 0,
    name: attrs.ifname ?? '',
    up: data.flags?.up === true,
    kind,
    master: attrs.master,
    peerElsewhere: attrs.linkNetnsid !== undefined,
    callsNetfilter: kind === 'bridge' && details !== undefined && parseBridge(details).nfCallIptables?.[0] === 1,
  };
}
