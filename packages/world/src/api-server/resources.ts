import type { Store } from './store.ts';

/** What is stored, by the resource's name in the API. */
export type Resources = Readonly<
  Record<'nodes' | 'pods' | 'namespaces' | 'services' | 'events' | 'servicecidrs' | 'secrets', Store>
>;

/** `kind` of their objects. */
export const KINDS: Readonly<Record<keyof Resources, string>> = {
  nodes: 'Node',
  pods: 'Pod',
  namespaces: 'Namespace',
  services: 'Service',
  events: 'Event',
  servicecidrs: 'ServiceCIDR',
  secrets: 'Secret',
};

/** Those that are not of the core group. */
export const GROUPS: Readonly<Partial<Record<keyof Resources, string>>> = { servicecidrs: 'networking.k8s.io' };

/** The resource that a path is the collection of; undefined: there is none. */
export function resourceAt(path: string): keyof Resources | undefined {
  const [, group = '', name = ''] = /^\/(?:api|apis\/([a-z0-9.]+))\/v1\/([a-z]+)$/.exec(path) ?? [];
  if (!Object.hasOwn(KINDS, name)) return undefined;
  const resource = name as keyof Resources;
  return (GROUPS[resource] ?? '') === group ? resource : undefined;
}

/** What `apiVersion` says of objects of a resource. */
export function apiVersionOf(resource: keyof Resources): string {
  const group = GROUPS[resource];
  return group === undefined ? 'v1' : `${group}/v1`;
}
