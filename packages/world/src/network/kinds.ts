import { DUAL } from './dual.ts';
import { OFFLOADED } from './offloaded.ts';
import { OVERLAY } from './overlay.ts';
import { ROUTED } from './routed.ts';
import type { Blueprint } from './wiring.ts';
import { ZONES } from './zones.ts';

/** The kinds of worlds: the same cluster, and each time another network below it. */
const BLUEPRINTS = {
  /** Pods have addresses that the network routes. */
  routed: ROUTED,
  /** VXLAN between the nodes, a bridge on each, and the exporter a pod behind a Service. */
  overlay: OVERLAY,
  /** Each packet of a pod passes two conntrack zones of its node, as with Open vSwitch. */
  zones: ZONES,
  /** Kubernetes knows IPv6 addresses of pods alone, which reach IPv4 by others. */
  dual: DUAL,
  /** What long connections move passes conntrack by, as with a flowtable without `counter`. */
  offloaded: OFFLOADED,
} as const satisfies Readonly<Record<string, Blueprint>>;

export type WorldKind = keyof typeof BLUEPRINTS;
export const WORLD_KINDS = Object.keys(BLUEPRINTS) as readonly WorldKind[];

/** What a kind of world is made of. */
export function blueprintOf(kind: WorldKind): Blueprint {
  return BLUEPRINTS[kind];
}

/** Whether a word, of a command line for example, is one of the kinds. */
export function isWorldKind(word: string): word is WorldKind {
  return Object.hasOwn(BLUEPRINTS, word);
}
