import type { Collector } from './received.ts';

/** A collector of a node with nothing excluded, without a certificate. */
export function collectorOf(node: string, more: Partial<Collector> = {}): Collector {
  return {
    node,
    bootId: '',
    epoch: 'epoch',
    version: '',
    settings: { excludeNamespaces: [], groupPublicIps: false, sendTrafficDelta: undefined },
    peer: undefined,
    certificate: { kind: 'any' },
    ...more,
  };
}
