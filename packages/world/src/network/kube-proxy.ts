import { CLUSTER, FAMILIES, type Family, type Node, type Pod, type Service } from './layout.ts';

/** The mark that kube-proxy sets on what has to be masqueraded on its way out. */
const MASQUERADE = '0x4000';
const IP: Record<Family, string> = { v4: 'ip', v6: 'ip6' };

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

/** A Service's address, or a node's port, leads to the Service's chain. What comes by a node's port is always masqueraded. */
function entrances(service: Service, family: Family): string[] {
  const chain = chainOf(service, family);
  const { protocol, port, nodePort } = service;
  const cluster = `${IP[family]} daddr ${service.address[family]} ${protocol} dport ${port} goto ${chain}`;
  if (nodePort === undefined) return [cluster];
  const nfproto = family === 'v4' ? 'ipv4' : 'ipv6';
  const outside = `meta nfproto ${nfproto} fib daddr type local ${protocol} dport ${nodePort}`;
  return [cluster, `${outside} meta mark set mark or ${MASQUERADE} goto ${chain}`];
}

/** The backends in turn (kube-proxy draws lots), so that few connections reach all of them. */
function chains(service: Service, family: Family): string {
  const { backends, protocol, targetPort } = service;
  const turns = backends.map((pod, i) => `${i} : goto ${backendChain(service, family, pod)}`).join(', ');
  const ends = backends.map((pod) => {
    const address = pod.address[family];
    // A pod that reaches itself must not see its own address as the source.
    const hairpin = `${IP[family]} saddr ${address} meta mark set mark or ${MASQUERADE}`;
    const dnat = `meta l4proto ${protocol} dnat ${IP[family]} to ${endpoint(family, address, targetPort)}`;
    return `  chain ${backendChain(service, family, pod)} {\n    ${hairpin}\n    ${dnat}\n  }`;
  });
  const head = `  chain ${chainOf(service, family)} {\n    numgen inc mod ${backends.length} vmap { ${turns} }\n  }`;
  return [...ends, head].join('\n');
}

/**
 * The rules that a node has for its Services and for what leaves the cluster, as kube-proxy and a network plugin write them:
 * ClusterIP, NodePort, hairpin, masquerade. They make the namespace track connections.
 * @returns the text of `nft -f`
 */
export function nodeRules(node: Node, services: readonly Service[]): string {
  const each = <T>(make: (service: Service, family: Family) => T): T[] =>
    services.flatMap((service) => FAMILIES.map((family) => make(service, family)));
  const leaving = FAMILIES.map(
    (family) =>
      `    ${IP[family]} saddr ${node.podRange[family]} ${IP[family]} daddr != { ${CLUSTER[family].join(', ')} } masquerade`,
  );
  return `table inet kube-proxy {
${each(chains).join('\n')}
  chain services {
    ${each(entrances).flat().join('\n    ')}
  }
  chain nat-prerouting { type nat hook prerouting priority dstnat; policy accept; jump services; }
  chain nat-output { type nat hook output priority -100; policy accept; jump services; }
  chain nat-postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    meta mark & ${MASQUERADE} != 0 masquerade
${leaving.join('\n')}
  }
}
`;
}
