import { WORD } from '../conntrack/record.ts';

/** UDP ports of VXLAN (IANA's and Linux's own), Geneve, and WireGuard (its usual one, Cilium's). */
const TUNNEL_PORTS: ReadonlySet<number> = new Set([4789, 8472, 6081, 51_820, 51_871]);
/** IANA: IP in IP, IPv6 in IP, GRE, ESP. */
const TUNNEL_PROTOCOLS: ReadonlySet<number> = new Set([4, 41, 47, 50]);
const UDP = 17;

/** Whether the connection at `words[at...]` is one of outer packets: what they carry is in the table once more, by itself. */
export function isTunnel(words: Uint32Array, at: number): boolean {
  const protocol = words[at + WORD.zoneProtocol]! >>> 16;
  if (protocol !== UDP) return TUNNEL_PROTOCOLS.has(protocol);
  return TUNNEL_PORTS.has(words[at + WORD.originalPorts]! & 0xffff);
}
