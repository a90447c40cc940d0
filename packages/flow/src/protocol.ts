/** IP protocol numbers (IANA) as the `proto` label writes them. */
const NAMES: Readonly<Record<number, string>> = { 0: 'ANY', 1: 'ICMP', 6: 'TCP', 17: 'UDP', 58: 'ICMPv6' };

/** `TCP`, `UDP`, `ICMP`, `ICMPv6`, `ANY` for 0, else the number. */
export function protocolName(protocol: number): string {
  return NAMES[protocol] ?? String(protocol);
}
