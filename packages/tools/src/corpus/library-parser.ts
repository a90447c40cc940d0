import { openPackaged } from '@egressd/collector/native/library';
import { formatAddress } from '@egressd/flow/address';
import { createExternalBuffer, DataType, type JsExternal, load } from 'ffi-rs';

const LIBRARY = 'libnetfilter_conntrack';
const { External, I32, U8Array, Void } = DataType;

/** `enum nf_conntrack_attr` of libnetfilter_conntrack.h: how long a value is, and whether it is left in network order. */
const ATTRIBUTES = {
  originalSource: { v4: 0, v6: 4 },
  originalDestination: { v4: 1, v6: 5 },
  replySource: { v4: 2, v6: 6 },
  originalSourcePort: { at: 8, bits: 16, network: true },
  originalDestinationPort: { at: 9, bits: 16, network: true },
  replySourcePort: { at: 10, bits: 16, network: true },
  replyDestinationPort: { at: 11, bits: 16, network: true },
  icmpType: { at: 12, bits: 8 },
  icmpCode: { at: 13, bits: 8 },
  icmpId: { at: 14, bits: 16, network: true },
  protocol: { at: 17, bits: 8 },
  timeout: { at: 24, bits: 32 },
  mark: { at: 25, bits: 32 },
  originalPackets: { at: 26, bits: 64 },
  replyPackets: { at: 27, bits: 64 },
  originalBytes: { at: 28, bits: 64 },
  replyBytes: { at: 29, bits: 64 },
  id: { at: 31, bits: 32 },
  status: { at: 32, bits: 32 },
  zone: { at: 61, bits: 16 },
  start: { at: 63, bits: 64 },
  originalZone: { at: 68, bits: 16 },
  replyZone: { at: 69, bits: 16 },
} as const;

type Name = keyof typeof ATTRIBUTES;
/** What the library found in an entry: addresses as text, 64-bit numbers as decimal text, other numbers; only what is there. */
export type LibraryEntry = Partial<Record<Name, string | number>>;

/** Parses one netlink message of an entry with libnetfilter_conntrack itself. */
export function parseWithLibrary(message: Uint8Array): LibraryEntry | undefined {
  openPackaged(LIBRARY, 'libnetfilter-conntrack3');
  const entry = call<JsExternal>('nfct_new', External, [], []);
  try {
    if (call<number>('nfct_nlmsg_parse', I32, [U8Array, External], [message, entry]) < 0) return undefined;
    const found: LibraryEntry = {};
    for (const name of Object.keys(ATTRIBUTES) as Name[]) {
      const value = read(entry, ATTRIBUTES[name]);
      if (value !== undefined) found[name] = value;
    }
    return found;
  } finally {
    call('nfct_destroy', Void, [External], [entry]);
  }
}

function call<T>(funcName: string, retType: DataType, paramsType: DataType[], paramsValue: unknown[]): T {
  return load({ library: LIBRARY, funcName, retType, paramsType, paramsValue }) as T;
}

type Attribute = (typeof ATTRIBUTES)[Name];

function read(entry: JsExternal, attribute: Attribute): string | number | undefined {
  if ('v4' in attribute) {
    const v6 = bytesOf(entry, attribute.v6, 16);
    return v6 === undefined ? bytesOf(entry, attribute.v4, 4)?.join('.') : formatAddress(v6);
  }
  const bytes = bytesOf(entry, attribute.at, attribute.bits / 8);
  if (bytes === undefined) return undefined;
  if (attribute.bits === 64) return bytes.readBigUInt64LE().toString();
  return 'network' in attribute ? bytes.readUIntBE(0, bytes.length) : bytes.readUIntLE(0, bytes.length);
}

/** A copy of a value, or undefined where the entry has none. */
function bytesOf(entry: JsExternal, at: number, length: number): Buffer | undefined {
  if (call<number>('nfct_attr_is_set', I32, [External, I32], [entry, at]) !== 1) return undefined;
  const pointer = call<JsExternal>('nfct_get_attr', External, [External, I32], [entry, at]);
  return Buffer.from(createExternalBuffer(pointer, length));
}
