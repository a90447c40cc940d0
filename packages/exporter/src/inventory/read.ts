import { check } from '../config/issues.ts';
import { readYaml } from '../config/yaml.ts';
import type { OwnersState } from '../owners/registry.ts';
import { conflictsIn } from './conflicts.ts';
import { INVENTORY_SCHEMA, type Inventory } from './schema.ts';

/** What an inventory's text says, or all that is wrong with it, a line each. */
export type ReadInventory =
  | { readonly ok: true; readonly state: OwnersState }
  | { readonly ok: false; readonly mistakes: readonly string[] };

/**
 * Reads the text of an inventory file. An empty one is a mistake: it is what one sees while it is being written, and would end
 * everybody.
 */
export function readInventory(text: string): ReadInventory {
  const yaml = readYaml(text);
  if (yaml.mistakes.length > 0) return { ok: false, mistakes: yaml.mistakes };
  const { value } = yaml;
  if (value === undefined) return { ok: false, mistakes: ['is empty; where nobody is meant, write nodes: []'] };
  const checked = check(INVENTORY_SCHEMA, value);
  const mistakes = [...(checked.ok ? [] : checked.mistakes), ...conflictsIn(value)];
  if (checked.ok && mistakes.length === 0) return { ok: true, state: stateOf(checked.value) };
  return { ok: false, mistakes: mistakes.map(yaml.place) };
}

function stateOf({ nodes, pods, clusterRanges }: Inventory): OwnersState {
  return {
    clusterRanges,
    nodes,
    pods: pods.map(({ ips, ...pod }) => ({ ...pod, key: `${pod.namespace}/${pod.name}`, addresses: ips })),
  };
}
