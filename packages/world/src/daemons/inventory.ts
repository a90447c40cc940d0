import { CLUSTER, type Layout, listedAddresses, podsOn } from '../network/layout.ts';

/** Who is who in a world, as the exporter's `inventory` file says it. JSON is YAML too. */
export function inventoryOfWorld(layout: Layout): string {
  const nodes = layout.nodes.map(({ name, zone, region, address }) => ({
    name,
    zone,
    region,
    addresses: [address.v4, address.v6],
  }));
  const pods = layout.nodes.flatMap((node) =>
    podsOn(layout, node).map((pod) => ({
      name: pod.name,
      namespace: pod.namespace,
      node: node.name,
      ips: listedAddresses(layout, pod),
    })),
  );
  return JSON.stringify({ clusterRanges: [...CLUSTER.v4, ...CLUSTER.v6], nodes, pods }, undefined, 2);
}
