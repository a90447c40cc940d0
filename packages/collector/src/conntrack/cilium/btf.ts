/**
 * The names of a struct's members, from BTF, the kernel's description of types (Documentation/bpf/btf.rst).
 *
 *   header   | magic 0xeb9f u16 | version u8 | flags u8 | length u32 | types: offset u32, length u32 | strings: offset u32, length u32 |
 *   type     | name u32 | info u32: members (16 bits), kind (bits 24 to 28) | size or type u32 | by kind more |      numbered from 1
 *   member   | name u32 | type u32 | offset u32 |
 */
const MAGIC = 0xeb9f;
const HEADER_BYTES = 24;
const TYPE_BYTES = 12;
const MEMBER_BYTES = 12;

/** Kinds, and how many bytes follow a type of each: for all of them, and for each of its members. */
const KIND = { struct: 4, union: 5, typedef: 8, volatile: 9, const: 10 } as const;
const EXTRA: Readonly<Record<number, readonly [always: number, aMember: number]>> = {
  1: [4, 0], // int
  2: [0, 0], // pointer
  3: [12, 0], // array
  [KIND.struct]: [0, MEMBER_BYTES],
  [KIND.union]: [0, MEMBER_BYTES],
  6: [0, 8], // enum
  7: [0, 0], // forward
  [KIND.typedef]: [0, 0],
  [KIND.volatile]: [0, 0],
  [KIND.const]: [0, 0],
  11: [0, 0], // restrict
  12: [0, 0], // function
  13: [0, 8], // prototype of a function
  14: [4, 0], // variable
  15: [0, 12], // section
  16: [0, 0], // float
  17: [4, 0], // declaration tag
  18: [0, 0], // type tag
  19: [0, 12], // enum of 64 bits
};

interface Type {
  readonly at: number;
  readonly kind: number;
  readonly members: number;
}

/**
 * The names of the members of a type that is a struct, or leads to one; with those of unnamed structs and unions inside it.
 * @returns undefined where it is none, or the description is not as it should be
 */
export function memberNames(btf: Uint8Array, type: number): string[] | undefined {
  const view = new DataView(btf.buffer, btf.byteOffset, btf.byteLength);
  if (btf.byteLength < HEADER_BYTES || view.getUint16(0, true) !== MAGIC) return undefined;
  const header = view.getUint32(4, true);
  const typesAt = header + view.getUint32(8, true);
  const typesEnd = typesAt + view.getUint32(12, true);
  const stringsAt = header + view.getUint32(16, true);
  const stringsEnd = stringsAt + view.getUint32(20, true);
  if (typesEnd > btf.byteLength || stringsEnd > btf.byteLength) return undefined;
  const types = listTypes(view, typesAt, typesEnd);
  if (types === undefined) return undefined;
  const nameAt = (offset: number) => textAt(btf, stringsAt + offset, stringsEnd);
  return namesOf(view, types, type, nameAt, 0);
}

function listTypes(view: DataView, from: number, to: number): Type[] | undefined {
  const types: Type[] = [];
  let at = from;
  while (at + TYPE_BYTES <= to) {
    const info = view.getUint32(at + 4, true);
    const [kind, members] = [(info >>> 24) & 0x1f, info & 0xffff];
    const extra = EXTRA[kind];
    if (extra === undefined) return undefined;
    types.push({ at, kind, members });
    at += TYPE_BYTES + extra[0] + members * extra[1];
  }
  return at === to ? types : undefined;
}

/** Types lead to each other, and damaged ones in circles. */
const MAX_DEPTH = 8;

function namesOf(
  view: DataView,
  types: readonly Type[],
  number: number,
  nameAt: (offset: number) => string,
  depth: number,
): string[] | undefined {
  const type = types[number - 1];
  if (type === undefined || depth > MAX_DEPTH) return undefined;
  const { at, kind, members } = type;
  if (kind === KIND.typedef || kind === KIND.const || kind === KIND.volatile)
    return namesOf(view, types, view.getUint32(at + 8, true), nameAt, depth + 1);
  if (kind !== KIND.struct && kind !== KIND.union) return undefined;
  return Array.from({ length: members }, (_, i) => at + TYPE_BYTES + i * MEMBER_BYTES).flatMap((member) => {
    const name = nameAt(view.getUint32(member, true));
    return name !== '' ? [name] : (namesOf(view, types, view.getUint32(member + 4, true), nameAt, depth + 1) ?? []);
  });
}

function textAt(bytes: Uint8Array, from: number, to: number): string {
  if (from >= to) return '';
  const end = bytes.indexOf(0, from);
  return Buffer.from(bytes.subarray(from, end < 0 || end > to ? to : end)).toString('latin1');
}
