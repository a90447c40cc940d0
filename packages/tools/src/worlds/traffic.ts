import { type Agent, startAgent } from '@egressd/world/traffic/agent-process';
import type { TrafficOrder } from '@egressd/world/traffic/orders';
import { HOSTS, type Host, INTERNET, PODS, spawnOnHost } from './node.ts';

export const TCP_PORT = 8080;
export const UDP_PORT = 8053;

/** An order and who carries it out. */
export interface Step {
  readonly from: Host;
  readonly order: TrafficOrder;
}

/** A large transfer, and many small ones. */
export function tcpTo(from: Host, to: string): Step[] {
  const large = { do: 'tcp', to, port: TCP_PORT, up: 1_500_000, down: 700_000, connections: 1, parallel: 1 } as const;
  return [
    { from, order: large },
    { from, order: { ...large, up: 3_000, down: 9_000, connections: 12, parallel: 3 } },
  ];
}

export function udpTo(from: Host, to: string): Step {
  return { from, order: { do: 'udp', to, port: UDP_PORT, datagrams: 150, size: 700, answer: 300 } };
}

export function pingTo(from: Host, to: string): Step {
  return { from, order: { do: 'ping', to, count: 5, size: 64 } };
}

/** Between the pods, and from each to the outside. */
export const PLAIN: readonly Step[] = [
  ...tcpTo('web', PODS.db),
  udpTo('web', PODS.db),
  pingTo('web', PODS.db),
  ...tcpTo('web', INTERNET),
  ...tcpTo('db', INTERNET),
  udpTo('db', INTERNET),
];

/** Agents on all hosts, which answer. */
export async function startAgents(): Promise<Map<Host, Agent>> {
  const agents = new Map(
    HOSTS.map((host) => [host, startAgent((command, args) => spawnOnHost(host, command, args))] as const),
  );
  const listening = [...agents.values()].map((agent) => agent.order({ do: 'listen', tcp: TCP_PORT, udp: UDP_PORT }));
  await Promise.all(listening);
  return agents;
}
