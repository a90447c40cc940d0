import type { Node } from '../network/layout.ts';
import { lifetimeIn, type RawEntry } from './cilium-node.ts';
import { type DirectedEntry, directedBytes, ENTRY_BITS, TUPLE_F, type Tuple, tupleBytes } from './entries.ts';

/**
 * What Cilium's maps of a node would hold for the connections that netfilter tracks there: the entries of its pods, of what it
 * forwards in a NodePort's name, and those that are no flows. Cilium counts the Ethernet header too.
 */

/** One direction of a connection as `conntrack -L` prints it. */
interface Direction {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly packets: number;
  readonly bytes: number;
}

const LINE = /^ *\S+ +(\d+) (.*)$/;
const ONE =
  /src=(\S+) dst=(\S+) (?:sport=(\d+) dport=(\d+) )?(?:type=\d+ code=\d+ id=(\d+) )?packets=(\d+) bytes=(\d+)/g;

const ETHERNET_BYTES = 14;
const ICMP = { 4: 1, 6: 58 } as const;
/** Where a pod that reaches itself by a Service comes from (Cilium's IPV4_LOOPBACK). */
const LOOP = '169.254.42.1';

/** The entries for all lines of `conntrack -L` on a node. @throws Error for a line that is not a connection with counters */
export function mirrorOf(text: string, node: Node): RawEntry[] {
  const pods = new Set(node.pods.flatMap(({ address }) => [address.v4, address.v6]));
  const hosts = new Set([node.address.v4, node.address.v6]);
  return text
    .split('\n')
    .filter(Boolean)
    .flatMap((line) => entriesOf(line, pods, hosts));
}

function entriesOf(line: string, pods: ReadonlySet<string>, hosts: ReadonlySet<string>): RawEntry[] {
  const [, protocolText, rest = ''] = LINE.exec(line) ?? [];
  const [there, back] = [...rest.matchAll(ONE)].map(directionOf);
  if (there === undefined || back === undefined) throw new Error(`not a connection with counters: ${line}`);
  const protocol = Number(protocolText);
  const isV6 = there.source.includes(':');
  const isEcho = protocol === ICMP[4] || protocol === ICMP[6];
  // Who really answered; an echo has its id in the place of the destination's port, and no other.
  const tuple = {
    source: there.source,
    sourcePort: isEcho ? 0 : there.sourcePort,
    destination: back.source,
    destinationPort: isEcho ? there.sourcePort : back.sourcePort,
    protocol,
  };
  const put = (flags: number, value: DirectedEntry, part: Partial<Tuple> = {}): RawEntry => [
    tupleBytes({ ...tuple, flags, ...part }),
    directedBytes(value),
  ];
  const sent = counted(there, back, protocol);
  const received = counted(back, there, protocol);
  const entries: RawEntry[] = [];
  const isLoop = tuple.source === tuple.destination;
  if (pods.has(tuple.source)) {
    entries.push(put(TUPLE_F.out, { ...sent, bits: isLoop ? ENTRY_BITS.loopback : 0 }));
    if (there.destination !== tuple.destination) {
      const originalDestination = { destination: there.destination, destinationPort: there.destinationPort };
      // Of a Service's entry, rx_bytes is the backend's number.
      entries.push(
        put(TUPLE_F.service, { ...sent, rxPackets: 0, rxBytes: 4711, txPackets: 0, txBytes: 0 }, originalDestination),
      );
    }
    const related = { sourcePort: 0, destinationPort: 0, protocol: ICMP[isV6 ? 6 : 4] };
    entries.push(put(TUPLE_F.out | TUPLE_F.related, { ...sent, rxPackets: 0, rxBytes: 0 }, related));
  }
  if (isLoop && !isV6)
    entries.push(
      put(TUPLE_F.in, { ...received, bits: ENTRY_BITS.loopback }, { source: LOOP, destination: there.destination }),
    );
  else if (pods.has(tuple.destination)) {
    // Where the source is a pod of the node too, its entry counts: this one lags, as where a policy drops some on their way in.
    entries.push(put(TUPLE_F.in, pods.has(tuple.source) ? halfOf(received) : received));
  }
  if (hosts.has(there.destination) && !pods.has(tuple.source))
    entries.push(put(TUPLE_F.out, { ...sent, bits: ENTRY_BITS.nodePort }));
  // With its host firewall, Cilium also tracks what the node itself opens.
  else if (hosts.has(tuple.source)) entries.push(put(TUPLE_F.out, sent));
  return entries;
}

function directionOf([, source = '', destination = '', sport, dport, id, packets, bytes]: RegExpExecArray): Direction {
  return {
    source,
    destination,
    sourcePort: Number(sport ?? id ?? 0),
    destinationPort: Number(dport ?? 0),
    packets: Number(packets),
    bytes: Number(bytes),
  };
}

/** @param tx what the local endpoint sent */
function counted(tx: Direction, rx: Direction, protocol: number): DirectedEntry {
  return {
    txPackets: tx.packets,
    txBytes: tx.bytes + ETHERNET_BYTES * tx.packets,
    rxPackets: rx.packets,
    rxBytes: rx.bytes + ETHERNET_BYTES * rx.packets,
    lifetime: lifetimeIn('jiffies', protocol === 6 ? 8000 : 60),
  };
}

/** Some of it, but not nothing. */
function halfOf({ txPackets, txBytes, rxPackets, rxBytes, ...rest }: DirectedEntry): DirectedEntry {
  const half = (packets: number, bytes: number) =>
    [Math.ceil(packets / 2), Math.ceil(bytes / Math.max(1, packets)) * Math.ceil(packets / 2)] as const;
  const [[tx, txHalf], [rx, rxHalf]] = [half(txPackets, txBytes), half(rxPackets, rxBytes)];
  return { ...rest, txPackets: tx, txBytes: txHalf, rxPackets: rx, rxBytes: rxHalf };
}
