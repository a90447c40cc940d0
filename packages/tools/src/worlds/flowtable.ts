import type { Case } from './case.ts';
import { MASQUERADE, nft, ROUTE_PODS } from './node.ts';
import { PLAIN } from './traffic.ts';

/** A node with a flowtable: nft(8). @param offloaded which packets of a connection put it there */
function offloading(options: string, offloaded: string): string {
  const rules = `table inet fast {
  flowtable f { hook ingress priority 0; devices = { pod-web, pod-db, uplink }; ${options} }
  chain forward { type filter hook forward priority 0; meta l4proto { tcp, udp } ${offloaded} flow add @f; }
}`;
  return `${ROUTE_PODS}${MASQUERADE}${nft(rules)}`;
}

export const FLOWTABLE: readonly Case[] = [
  {
    name: 'a flowtable with counter',
    build: offloading('counter;', 'ct state established'),
    traffic: PLAIN,
    expected: 'exact',
  },
  {
    name: 'a flowtable without counter',
    build: offloading('', 'ct state established'),
    traffic: PLAIN,
    expected: { missing: 'flowtable' },
  },
  {
    name: 'a flowtable without counter after 20 packets, as kind has it',
    build: offloading('', 'ct packets > 20'),
    traffic: PLAIN,
    expected: { missing: 'flowtable' },
  },
];
