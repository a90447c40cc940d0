import { addressKey, formatAddress, parseAddress } from '@egressd/flow/address';
import { type Mistake, quoted } from '../config/issues.ts';

/**
 * Conflicts between entries of an inventory: a name or an address twice, a pod on a node that does not exist. Works on the values as
 * they are in the file, valid or not, so that these mistakes are reported together with all others.
 */
export function conflictsIn(inventory: unknown): Mistake[] {
  const [nodes, pods] = [entries(inventory, 'nodes'), entries(inventory, 'pods')];
  const nodeNames = new Set(nodes.map((node) => text(node, 'name')));
  const withoutNode = pods.flatMap((pod, i): Mistake[] => {
    const node = text(pod, 'node');
    if (node === undefined || nodeNames.has(node)) return [];
    return [{ path: ['pods', i, 'node'], text: `there is no node ${quoted(node)} under nodes` }];
  });
  const podName = (pod: unknown) => {
    const [namespace, name] = [text(pod, 'namespace'), text(pod, 'name')];
    return namespace === undefined || name === undefined ? undefined : `${namespace}/${name}`;
  };
  return [
    ...duplicateNames('nodes', nodes, (node) => text(node, 'name')),
    ...duplicateNames('pods', pods, podName),
    ...withoutNode,
    ...sharedAddresses(nodes, pods),
  ];
}

function duplicateNames(
  list: string,
  all: readonly unknown[],
  nameOf: (entry: unknown) => string | undefined,
): Mistake[] {
  const first = new Map<string, number>();
  return all.flatMap((entry, i): Mistake[] => {
    const name = nameOf(entry);
    if (name === undefined) return [];
    const before = first.get(name);
    if (before === undefined) first.set(name, i);
    return before === undefined ? [] : [{ path: [list, i, 'name'], text: `${list}[${before}] has that name already` }];
  });
}

/** Addresses of two entries. A pod on the host network may have its node's. */
function sharedAddresses(nodes: readonly unknown[], pods: readonly unknown[]): Mistake[] {
  const taken = new Map<string, string>();
  const take = (list: string, key: string, all: readonly unknown[], advice: string): Mistake[] =>
    all.flatMap((entry, i) =>
      entries(entry, key).flatMap((value, j): Mistake[] => {
        const bytes = typeof value === 'string' ? parseAddress(value) : undefined;
        if (bytes === undefined) return [];
        const first = taken.get(addressKey(bytes));
        if (first === undefined) taken.set(addressKey(bytes), `${list}[${i}]`);
        if (first === undefined) return [];
        const help = first.startsWith('nodes') ? advice : '';
        return [{ path: [list, i, key, j], text: `${first} has ${formatAddress(bytes)} already${help}` }];
      }),
    );
  const own = pods.map((pod) => (isOnHostNetwork(pod) ? undefined : pod));
  return [
    ...take('nodes', 'addresses', nodes, ''),
    ...take('pods', 'ips', own, '; a pod on its network needs hostNetwork: true'),
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
