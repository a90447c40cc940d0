import { CLUSTER, NODES } from '../network/layout.ts';

/** Who is who in the world, as the exporter's `inventory` file says it. JSON is YAML too. */
export function inventoryOfWorld(): string {
  const nodes = NODES.map(({ name, zone, region, address }) => ({
    name,
    zone,
    region,
    addresses: [address.v4, address.v6],
  }));
  const pods = NODES.flatMap((node) =>
    node.pods.map(({ name, namespace, address }) => ({
      name,
      namespace,
      node: node.name,
      ips: [address.v4, address.v6],
    })),
  );
  return JSON.stringify({ clusterRanges: [...CLUSTER.v4, ...CLUSTER.v6], nodes, pods }, undefined, 2);
}
