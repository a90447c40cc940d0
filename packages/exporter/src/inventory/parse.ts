import { check } from '../config/issues.ts';
import { readYaml } from '../config/yaml.ts';
import type { OwnersState } from '../owners/owner-source.ts';
import { conflictsIn } from './conflicts.ts';
import { INVENTORY_SCHEMA, type Inventory } from './schema.ts';

/** The state that an inventory declares, or its mistakes, a line each. */
type ParsedInventory =
  | { readonly ok: true; readonly state: OwnersState }
  | { readonly ok: false; readonly mistakes: readonly string[] };

/**
 * Parses the text of an inventory file. An empty one is a mistake: a file is empty while it is being written, and it would end every
 * pod and node.
 */
export function parseInventory(text: string): ParsedInventory {
  const yaml = readYaml(text);
  if (yaml.mistakes.length > 0) return { ok: false, mistakes: yaml.mistakes };
  const { value } = yaml;
  if (value === undefined) return { ok: false, mistakes: ['is empty; for no nodes and no pods write nodes: []'] };
  const checked = check(INVENTORY_SCHEMA, value);
  const mistakes = [...(checked.ok ? [] : checked.mistakes), ...conflictsIn(value)];
  if (checked.ok && mistakes.length === 0) return { ok: true, state: stateOf(checked.value) };
  return { ok: false, mistakes: mistakes.map(yaml.place) };
}

function stateOf({ nodes, pods, clusterRanges }: Inventory): OwnersState {
  return {
    clusterRanges,
    nodes,
    pods: pods.map(({ ips, workload, ...pod }) => ({
      ...pod,
      ...(workload === undefined ? {} : { workload }),
      key: `${pod.namespace}/${pod.name}`,
      addresses: ips,
    })),
  };
}
