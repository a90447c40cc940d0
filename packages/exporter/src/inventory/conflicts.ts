import { addressKey, formatAddress, parseAddress } from '@egressd/flow/address';
import type { Mistake } from '../config/issues.ts';

/**
 * What entries of an inventory may not do together: a name or an address twice, a pod on a node that is not there. Works on
 * the values as they stand in the file, valid or not, so that these mistakes are told together with all others.
 */
export function conflictsIn(inventory: unknown): Mistake[] {
  const [nodes, pods] = [entries(inventory, 'nodes'), entries(inventory, 'pods')];
  const nodeNames = new Set(nodes.map((node) => text(node, 'name')));
  const strays = pods.flatMap((pod, i): Mistake[] => {
    const node = text(pod, 'node');
    if (node === undefined || nodeNames.has(node)) return [];
    return [{ path: ['pods', i, 'node'], text: `no node under nodes has the name ${JSON.stringify(node)}` }];
  });
  const podName = (pod: unknown) => {
    const [namespace, name] = [text(pod, 'namespace'), text(pod, 'name')];
    return namespace === undefined || name === undefined ? undefined : `${namespace}/${name}`;
  };
  return [
    ...repeated('nodes', nodes, (node) => text(node, 'name')),
    ...repeated('pods', pods, podName),
    ...strays,
    ...sharedAddresses(nodes, pods),
  ];
}

function repeated(list: string, all: readonly unknown[], nameOf: (entry: unknown) => string | undefined): Mistake[] {
  const first = new Map<string, number>();
  return all.flatMap((entry, i): Mistake[] => {
    const name = nameOf(entry);
    if (name === undefined) return [];
    const before = first.get(name);
    if (before === undefined) first.set(name, i);
    return before === undefined ? [] : [{ path: [list, i, 'name'], text: `${list}[${before}] has that name already` }];
  });
}

/** Addresses that two entries have. A pod on the host network may have its node's. */
function sharedAddresses(nodes: readonly unknown[], pods: readonly unknown[]): Mistake[] {
  const taken = new Map<string, string>();
  const take = (list: string, key: string, all: readonly unknown[], advice: string): Mistake[] =>
    all.flatMap((entry, i) =>
      entries(entry, key).flatMap((value, j): Mistake[] => {
        const bytes = typeof value === 'string' ? parseAddress(value) : undefined;
        if (bytes === undefined) return [];
        const holder = taken.get(addressKey(bytes));
        if (holder === undefined) taken.set(addressKey(bytes), `${list}[${i}]`);
        if (holder === undefined) return [];
        const help = holder.startsWith('nodes') ? advice : '';
        return [{ path: [list, i, key, j], text: `${holder} has ${formatAddress(bytes)} already${help}` }];
      }),
    );
  const own = pods.map((pod) => (isOnHostNetwork(pod) ? undefined : pod));
  return [
    ...take('nodes', 'addresses', nodes, ''),
    ...take('pods', 'ips', own, '; a pod that shares its network needs hostNetwork: true'),
  ];
}

function isOnHostNetwork(pod: unknown): boolean {
  return field(pod, 'hostNetwork') === true;
}

function field(entry: unknown, key: string): unknown {
  return typeof entry === 'object' && entry !== null ? (entry as Record<string, unknown>)[key] : undefined;
}

function text(entry: unknown, key: string): string | undefined {
  const value = field(entry, key);
  return typeof value === 'string' ? value : undefined;
}

function entries(entry: unknown, key: string): readonly unknown[] {
  const value = field(entry, key);
  return Array.isArray(value) ? value : [];
}
