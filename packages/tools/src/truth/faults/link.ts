import { GATEWAY, OPS, STREAM_PORT } from '@egressd/world/network/layout';
import type { World } from '@egressd/world/network/world';

/** What becomes of packets of the stream between a collector and the exporter: statements of nft. */
const FAULTS = {
  /** All packets are dropped. */
  cut: [`tcp sport ${STREAM_PORT} counter drop`, `tcp dport ${STREAM_PORT} counter drop`],
  /** Packets of the exporter are dropped; those of the collectors still arrive, as long as TCP sends without ACKs. */
  'half-open': [`tcp sport ${STREAM_PORT} counter drop`],
  /** Three packets of ten are lost, in both directions. */
  lossy: [
    `tcp sport ${STREAM_PORT} numgen random mod 10 < 3 counter drop`,
    `tcp dport ${STREAM_PORT} numgen random mod 10 < 3 counter drop`,
  ],
  /** Far less gets through than is sent. */
  slow: [`tcp dport ${STREAM_PORT} limit rate over 500 bytes/second burst 3 kbytes counter drop`],
  /** Both sides get a TCP reset. */
  reset: [
    `tcp sport ${STREAM_PORT} counter reject with tcp reset`,
    `tcp dport ${STREAM_PORT} counter reject with tcp reset`,
  ],
} as const;

/** A fault of the link. */
export type LinkFault = keyof typeof FAULTS;

/** The way between collectors and exporter. */
export interface Link {
  /** From now on. */
  break(fault: LinkFault): Promise<void>;
  /** How many packets the fault has hit so far. */
  hits(): Promise<number>;
  mend(): Promise<void>;
}

const TABLE = 'table inet link_fault';

/** Where every stream passes: at the gateway, half-way; where the exporter is a pod, at its own link. */
function placeOf({ layout }: World): { readonly host: string; readonly hooks: readonly string[] } {
  return 'node' in layout.ops ? { host: OPS.name, hooks: ['input', 'output'] } : { host: GATEWAY, hooks: ['forward'] };
}

/** The link of a world. */
export function linkOf(world: World): Link {
  const { host, hooks } = placeOf(world);
  const nft = (text: string) => world.run(host, 'nft', ['-f', '-'], text);
  return {
    async break(fault) {
      const rules = FAULTS[fault].join('\n');
      const chains = hooks.map(
        (hook) => `chain ${hook} { type filter hook ${hook} priority 0; policy accept;\n${rules}\n}`,
      );
      await nft(`${TABLE}\ndelete ${TABLE}\n${TABLE} {\n${chains.join('\n')}\n}`);
    },
    async hits() {
      const rules = await world.run(host, 'nft', ['list', ...TABLE.split(' ')]);
      return [...rules.matchAll(/counter packets (\d+)/g)].reduce((sum, [, packets]) => sum + Number(packets), 0);
    },
    mend: () => nft(`${TABLE}\ndelete ${TABLE}`).then(() => undefined),
  };
}
