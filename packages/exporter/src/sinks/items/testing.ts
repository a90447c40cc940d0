/** A decoder of `PodNetworkMetricBatch` for tests, written from the table of its fields and nothing else. Only tests import it. */

/** By field number: name and wire type (0 varint, 2 bytes). */
const FIELDS: Readonly<Record<number, readonly [keyof Item, 0 | 2]>> = {
  1: ['src_ip', 2],
  2: ['src_pod', 2],
  3: ['src_namespace', 2],
  4: ['src_node', 2],
  5: ['src_zone', 2],
  6: ['dst_ip', 2],
  7: ['dst_pod', 2],
  8: ['dst_namespace', 2],
  9: ['dst_node', 2],
  10: ['dst_zone', 2],
  11: ['tx_bytes', 0],
  12: ['tx_packets', 0],
  13: ['rx_bytes', 0],
  14: ['rx_packets', 0],
  15: ['proto', 0],
  17: ['dst_dns_name', 2],
};

type Text =
  | 'src_ip'
  | 'src_pod'
  | 'src_namespace'
  | 'src_node'
  | 'src_zone'
  | 'dst_ip'
  | 'dst_pod'
  | 'dst_namespace'
  | 'dst_node'
  | 'dst_zone'
  | 'dst_dns_name';

/** One item; what is not in the message is empty or zero. */
export type Item = Readonly<Record<Text, string>> &
  Readonly<Record<'tx_bytes' | 'tx_packets' | 'rx_bytes' | 'rx_packets' | 'proto', bigint>>;

/** The items of a message. @throws on anything that the table does not have, and on fields that come twice or out of order */
export function decodeBatch(bytes: Uint8Array): Item[] {
  return fieldsOf(bytes).map(([field, value]) => {
    if (field !== 1 || typeof value === 'bigint') throw new Error(`a batch has no field ${field}`);
    return decodeItem(value);
  });
}

function decodeItem(bytes: Uint8Array): Item {
  const item: Record<string, string | bigint> = {};
  for (const [name, wire] of Object.values(FIELDS)) item[name] = wire === 2 ? '' : 0n;
  let before = 0;
  for (const [field, value] of fieldsOf(bytes)) {
    const [name, wire] = FIELDS[field] ?? [];
    if (name === undefined || (wire === 0) !== (typeof value === 'bigint'))
      throw new Error(`an item has no field ${field}`);
    if (field <= before) throw new Error(`field ${field} comes after ${before}`);
    before = field;
    item[name] = typeof value === 'bigint' ? value : new TextDecoder('utf-8', { fatal: true }).decode(value);
  }
  return item as unknown as Item;
}

/** Fields of a message as they come. */
function fieldsOf(bytes: Uint8Array): [field: number, value: bigint | Uint8Array][] {
  const fields: [number, bigint | Uint8Array][] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error('the message ends within a number');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const value = varint();
    if ((tag & 7) === 0) fields.push([tag >> 3, value]);
    else if ((tag & 7) === 2) {
      fields.push([tag >> 3, bytes.subarray(at, at + Number(value))]);
      at += Number(value);
    } else throw new Error(`wire type ${tag & 7}`);
    if (at > bytes.length) throw new Error('the message ends within a field');
  }
  return fields;
}
