/**
 * Flows in columns: row i of every column is one pair.
 *
 *   addresses    16 bytes each   a0 | a1 | a2 | ...
 *   source       index in addresses: who opened the connections
 *   destination  index in addresses: who answered (after DNAT: the backend behind a Service)
 *   protocol     IP protocol number
 *   sourceNat    1: behind SNAT, so the destination sees another address than the source's; else 0
 *   txBytes      L3 bytes that the source sent          txPackets   the same in packets
 *   rxBytes      L3 bytes that the source received      rxPackets
 *   originalDestination   only where asked for, before DNAT: 1 + index of the address that the source connected to where it is
 *                not the destination (0: it is), and the port (0: the protocol has none)
 *
 * Counters are what moved since the last hand-over; a double holds them to the unit below 2^53 (9 petabytes).
 */
export interface FlowColumns {
  readonly rows: number;
  readonly addresses: Uint8Array;
  readonly source: Uint32Array;
  readonly destination: Uint32Array;
  readonly protocol: Uint8Array;
  readonly sourceNat: Uint8Array;
  readonly txBytes: Float64Array;
  readonly txPackets: Float64Array;
  readonly rxBytes: Float64Array;
  readonly rxPackets: Float64Array;
  readonly originalDestination?: { readonly address: Uint32Array; readonly port: Uint16Array };
}

/** Columns of zeros. */
export function emptyColumns(rows: number, addresses: number, originalDestination = false): FlowColumns {
  return {
    rows,
    addresses: new Uint8Array(addresses * 16),
    source: new Uint32Array(rows),
    destination: new Uint32Array(rows),
    protocol: new Uint8Array(rows),
    sourceNat: new Uint8Array(rows),
    txBytes: new Float64Array(rows),
    txPackets: new Float64Array(rows),
    rxBytes: new Float64Array(rows),
    rxPackets: new Float64Array(rows),
    ...(originalDestination
      ? { originalDestination: { address: new Uint32Array(rows), port: new Uint16Array(rows) } }
      : {}),
  };
}

/** The numbers of a batch beside its rows. Times are Unix milliseconds by the node's clock, `toMs` exclusive. */
export interface BatchSpan {
  readonly number: number;
  readonly fromMs: number;
  readonly toMs: number;
}
