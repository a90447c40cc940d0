import type { Family, Layout, Node } from '../network/layout.ts';
import type { Step } from '../traffic/plan.ts';
import type { Row } from './comparison.ts';

/** What conntrack counts and sockets do not, of a pair on one node: no socket of the pod's has it. */
interface SocketlessTraffic {
  readonly why: 'echo answered by the kernel' | 'connection refused by the kernel';
  readonly node: string;
  readonly pod: string;
  readonly other: string;
  readonly protocol: number;
  /** From the pod, and to it. */
  readonly tx: Amount;
  readonly rx: Amount;
}

type Amount = Readonly<Record<'bytes' | 'packets', number>>;

/** L3 bytes: IP's header with ICMP's, a SYN with its options, a reset. */
const ECHO_HEADERS: Readonly<Record<Family, number>> = { v4: 28, v6: 48 };
const SYN: Readonly<Record<Family, number>> = { v4: 60, v6: 80 };
const RESET: Readonly<Record<Family, number>> = { v4: 40, v6: 60 };
const PROTOCOL = { tcp: 6, v4: 1, v6: 58 } as const;

/**
 * What of a plan is answered by the kernel of a pod's namespace without a socket: pings, and connections to a port without a listener.
 * Their sender's node has them, if the sender is a pod of another node: at its socket.
 */
function socketlessOf(plan: readonly Step[], { nodes }: Layout): SocketlessTraffic[] {
  const nodeOf = (is: (pod: Node['pods'][number]) => boolean) => nodes.find(({ pods }) => pods.some(is));
  return plan.flatMap(({ from, order }): SocketlessTraffic[] => {
    const family: Family = order.to.includes(':') ? 'v6' : 'v4';
    const target = nodeOf(({ address }) => address[family] === order.to);
    const source = nodeOf(({ name }) => name === from);
    const sender = source?.pods.find(({ name }) => name === from)?.address[family];
    if (target === undefined || sender === undefined || target === source) return [];
    const ends = { node: target.name, pod: order.to, other: sender };
    if (order.do === 'ping') {
      const amount = { packets: order.count, bytes: order.count * (order.size + ECHO_HEADERS[family]) };
      return [{ why: 'echo answered by the kernel', ...ends, protocol: PROTOCOL[family], tx: amount, rx: amount }];
    }
    if (order.do !== 'refused') return [];
    const [tx, rx] = [RESET, SYN].map((size) => ({ packets: 1, bytes: size[family] })) as [Amount, Amount];
    return [{ why: 'connection refused by the kernel', ...ends, protocol: PROTOCOL.tcp, tx, rx }];
  });
}

/** The rows, with what sockets do not have of each: the database has to lack exactly that. */
export function withSocketless(rows: readonly Row[], plan: readonly Step[], layout: Layout): Row[] {
  const exceptions = socketlessOf(plan, layout);
  return rows.map((row) => {
    const mine = exceptions.filter(
      ({ node, pod, other, protocol }) =>
        node === row.node && pod === row.source && other === row.destination && protocol === row.protocol,
    );
    if (mine.length === 0) return row;
    const sum = (unit: 'bytes' | 'packets') => mine.reduce((all, each) => all + each[row.direction][unit], 0);
    const { missing, ...rest } = row;
    const passedBy = { bytes: sum('bytes'), packets: sum('packets'), why: mine.map(({ why }) => why).join(', ') };
    // Nothing else passed between the two: the database does not know them, as it should not.
    const isAllOfIt = row.bytes.kernel === passedBy.bytes && row.bytes.database === 0;
    return { ...rest, passedBy, ...(missing === undefined || isAllOfIt ? {} : { missing }) };
  });
}
