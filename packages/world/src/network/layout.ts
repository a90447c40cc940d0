import { Bug } from '@egressd/flow/bug';

/**
 * Who is in every world and which addresses they have. All of it is constant: each run has its own namespaces. What another kind of
 * world has otherwise is in `kinds.ts`.
 *
 *                         internet  203.0.113.10, 2001:db8:113::10
 *                            │
 *        ops ──────────── gateway          routes, nothing else
 *   10.240.9.2             │    │
 *        ┌─────────────────┘    └─────────────────┐
 *   node-a  10.240.1.2      zone eu-1a      node-b  10.240.2.2      zone eu-1b
 *    │  conntrack, kube-proxy's rules        │  conntrack, kube-proxy's rules
 *    ├─ shop/web-1   10.10.1.2               ├─ shop/web-2   10.10.2.2
 *    ├─ shop/cart-1  10.10.1.3               ├─ shop/cart-2  10.10.2.3
 *    └─ data/db-1    10.10.1.4               └─ data/db-2    10.10.2.4
 *
 *   Service   address      to            from outside
 *   web       10.96.0.10   web-1, web-2  every node's port 30080
 *   db        10.96.0.20   db-1
 *   dns       10.96.0.53   cart-1, cart-2 (UDP)
 *
 * Every host has an IPv6 address too: fd00:240:N::2 (nodes, ops), fd00:10:N::M (pods), fd00:96::N (Services).
 */

/** An IPv4 and an IPv6 address, as text. */
export interface Both {
  readonly v4: string;
  readonly v6: string;
}
export type Family = keyof Both;

/** One network namespace. */
interface Host {
  readonly name: string;
  readonly address: Both;
}

export interface Node extends Host {
  readonly zone: string;
  readonly region: string;
  /** Its place in all addresses. */
  readonly number: number;
  /** Addresses of its pods. */
  readonly podRange: Both;
  readonly pods: readonly Pod[];
}

export interface Pod extends Host {
  readonly namespace: string;
}

/** A Service, as kube-proxy sees it. */
export interface Service {
  readonly name: string;
  readonly protocol: 'tcp' | 'udp';
  readonly address: Both;
  readonly port: number;
  /** Port of every node that leads here too. */
  readonly nodePort?: number;
  readonly targetPort: number;
  readonly backends: readonly Pod[];
}

/** A pod with the node that it runs on. */
export interface PlacedPod extends Pod {
  readonly node: string;
}

/** Who is in a world, beside gateway and internet: the same names in all kinds, not the same addresses. */
export interface Layout {
  readonly nodes: readonly Node[];
  /** Where exporter, database and Kubernetes' API server run. A pod of a node where it has one. */
  readonly ops: Host | PlacedPod;
  readonly services: readonly Service[];
  /** In which families pods and Services have addresses that Kubernetes lists, and others can reach. */
  readonly families: readonly Family[];
  /** Where collectors find the exporter. */
  readonly exporterAddress: string;
  /** Whether their streams are protected by certificates of both sides. */
  readonly tls: boolean;
  /** The link of every node at which packets come in that it has seen before, in another conntrack zone. */
  readonly secondPass?: string;
  /** The table (inet) of every node that counts what passes conntrack by, in sets `passed4` and `passed6`. */
  readonly passedBy?: string;
}

/** Where every agent listens. */
export const TCP_PORT = 8080;
export const UDP_PORT = 8053;
/** Where the exporter takes the collectors' streams. */
export const STREAM_PORT = 6062;

/** Addresses inside the cluster are not masqueraded: pods, nodes and Services. */
export const CLUSTER: Record<Family, readonly string[]> = {
  v4: ['10.10.0.0/16', '10.240.0.0/16', '10.96.0.0/16'],
  v6: ['fd00:10::/32', 'fd00:240::/32', 'fd00:96::/32'],
};

function pod(node: number, place: number, namespace: string, name: string): Pod {
  return { name, namespace, address: { v4: `10.10.${node}.${place}`, v6: `fd00:10:${node}::${place}` } };
}

function node(number: number, name: string, zone: string, pods: readonly Pod[]): Node {
  const address = { v4: `10.240.${number}.2`, v6: `fd00:240:${number}::2` };
  const podRange = { v4: `10.10.${number}.0/24`, v6: `fd00:10:${number}::/48` };
  return { name, zone, region: 'eu-1', number, address, podRange, pods };
}

export const NODE_A = node(1, 'node-a', 'eu-1a', [
  pod(1, 2, 'shop', 'web-1'),
  pod(1, 3, 'shop', 'cart-1'),
  pod(1, 4, 'data', 'db-1'),
]);
export const NODE_B = node(2, 'node-b', 'eu-1b', [
  pod(2, 2, 'shop', 'web-2'),
  pod(2, 3, 'shop', 'cart-2'),
  pod(2, 4, 'data', 'db-2'),
]);
export const NODES: readonly Node[] = [NODE_A, NODE_B];
export const PODS: readonly Pod[] = NODES.flatMap((each) => each.pods);

export const GATEWAY = 'gateway';
/** Exporter and database. */
export const OPS: Host = { name: 'ops', address: { v4: '10.240.9.2', v6: 'fd00:240:9::2' } };
export const INTERNET: Host = { name: 'internet', address: { v4: '203.0.113.10', v6: '2001:db8:113::10' } };

/** Every host that runs an agent, in every kind of world. */
export const HOSTS: readonly Host[] = [...PODS, ...NODES, OPS, INTERNET];

function named(name: string): Pod {
  const found = PODS.find((each) => each.name === name);
  if (found === undefined) throw new Bug(`no pod ${name}`);
  return found;
}

function service(last: number, name: string, protocol: 'tcp' | 'udp', port: number, backends: string[]): Service {
  const address = { v4: `10.96.0.${last}`, v6: `fd00:96::${last}` };
  const targetPort = protocol === 'tcp' ? TCP_PORT : UDP_PORT;
  return { name, protocol, address, port, targetPort, backends: backends.map(named) };
}

export const WEB: Service = { ...service(10, 'web', 'tcp', 80, ['web-1', 'web-2']), nodePort: 30080 };
export const DB: Service = service(20, 'db', 'tcp', 5432, ['db-1']);
export const DNS: Service = service(53, 'dns', 'udp', 53, ['cart-1', 'cart-2']);
export const SERVICES: readonly Service[] = [WEB, DB, DNS];

export const FAMILIES: readonly Family[] = ['v4', 'v6'];

/** Exporter and database beside the nodes, every host with addresses of both families, and the stream in plain text. */
export const COMMON_LAYOUT: Layout = {
  nodes: NODES,
  ops: OPS,
  services: SERVICES,
  families: FAMILIES,
  exporterAddress: OPS.address.v4,
  tls: false,
};

/** Every pod of a node: the usual ones, and the exporter's where it has one there. */
export function podsOn({ ops }: Layout, { name, pods }: Node): readonly Pod[] {
  return 'node' in ops && ops.node === name ? [...pods, ops] : pods;
}

/** The addresses of a pod that Kubernetes lists. */
export function listedAddresses({ families }: Layout, { address }: Pod): string[] {
  return families.map((family) => address[family]);
}
