import { type Both, FAMILIES, type Family, type Pod, type Service } from './layout.ts';

/**
 * What kube-proxy writes on a node, as text for `nft -f`: ClusterIP, NodePort, hairpin. Such rules make a namespace track
 * connections.
 */

/** The mark of what has to be masqueraded on its way out. */
export const MASQUERADE_MARK = '0x4000';
export const SET_MASQUERADE_MARK = `meta mark set mark or ${MASQUERADE_MARK}`;
export const IP: Readonly<Record<Family, string>> = { v4: 'ip', v6: 'ip6' };
const NFPROTO: Readonly<Record<Family, string>> = { v4: 'ipv4', v6: 'ipv6' };

/** An address with a port, as nft writes it. */
function endpoint(family: Family, address: string, port: number): string {
  return family === 'v4' ? `${address}:${port}` : `[${address}]:${port}`;
}

function chainOf(service: Service, family: Family): string {
  return `service-${service.name}-${family}`;
}

function backendChain(service: Service, family: Family, pod: Pod): string {
  return `${chainOf(service, family)}-${pod.name}`;
}

/** Rules that let what is for a Service's address go to the Service's chain. @param pods all but theirs is masqueraded */
export function fromClusterIp(service: Service, family: Family, pods?: Both): string[] {
  const { protocol, port, address } = service;
  const match = `${IP[family]} daddr ${address[family]} ${protocol} dport ${port}`;
  const mark = pods === undefined ? [] : [`${match} ${IP[family]} saddr != ${pods[family]} ${SET_MASQUERADE_MARK}`];
  return [...mark, `${match} goto ${chainOf(service, family)}`];
}

/** The same for what is for a node's port; none where the Service has no such port. @param first a statement that comes before */
export function fromNodePort(service: Service, family: Family, first = ''): string[] {
  const { protocol, nodePort } = service;
  if (nodePort === undefined) return [];
  const match = `meta nfproto ${NFPROTO[family]} fib daddr type local ${protocol} dport ${nodePort}`;
  return [`${match} ${first} goto ${chainOf(service, family)}`];
}

/** A Service's chains. The backends in turn (kube-proxy draws lots), so that few connections reach all of them. */
export function serviceChains(service: Service, family: Family): string {
  const { backends, protocol, targetPort } = service;
  const turns = backends.map((pod, i) => `${i} : goto ${backendChain(service, family, pod)}`).join(', ');
  const ends = backends.map((pod) => {
    const address = pod.address[family];
    // A pod that reaches itself must not see its own address as the source.
    const hairpin = `${IP[family]} saddr ${address} ${SET_MASQUERADE_MARK}`;
    const dnat = `meta l4proto ${protocol} dnat ${IP[family]} to ${endpoint(family, address, targetPort)}`;
    return `  chain ${backendChain(service, family, pod)} {\n    ${hairpin}\n    ${dnat}\n  }`;
  });
  const head = `  chain ${chainOf(service, family)} {\n    numgen inc mod ${backends.length} vmap { ${turns} }\n  }`;
  return [...ends, head].join('\n');
}

/** What to make for each Service in each family. */
export function eachService<T>(
  services: readonly Service[],
  make: (service: Service, family: Family) => T,
  families: readonly Family[] = FAMILIES,
): T[] {
  return services.flatMap((service) => families.map((family) => make(service, family)));
}

/** Masquerades what is marked, whatever else happens to it. */
export const MASQUERADE_MARKED = `meta mark & ${MASQUERADE_MARK} != 0 masquerade`;

/** What differs between the tables of nodes that translate Services where packets come in, and their own where they start. */
export interface ProxyTable {
  readonly services: readonly Service[];
  readonly families?: readonly Family[];
  /** A source without such an address is masqueraded on its way to a Service's; not set: none is. */
  readonly pods?: Both;
  /** The rules of source translation, in their order. */
  readonly postrouting: readonly string[];
}

/** A node's table of Services. What comes by a node's port is always masqueraded. */
export function proxyTable({ services, families, pods, postrouting }: ProxyTable): string {
  const entrances = eachService(
    services,
    (service, family) => [
      ...fromClusterIp(service, family, pods),
      ...fromNodePort(service, family, SET_MASQUERADE_MARK),
    ],
    families,
  );
  return `table inet kube-proxy {
${eachService(services, serviceChains, families).join('\n')}
  chain services {
    ${entrances.flat().join('\n    ')}
  }
  chain nat-prerouting { type nat hook prerouting priority dstnat; policy accept; jump services; }
  chain nat-output { type nat hook output priority -100; policy accept; jump services; }
  chain nat-postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ${postrouting.join('\n    ')}
  }
}
`;
}
