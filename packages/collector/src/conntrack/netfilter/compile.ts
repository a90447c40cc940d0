import { FLAG, WORD } from '../record.ts';
import { type CompiledDecoder, PLACE, REPLY, type Shape } from './attributes.ts';

/** What a compiled decoder returns. */
export const DECODED = 0;
/** The entry has another shape: nothing was written. */
const OTHER_SHAPE = 1;
/** One that `decodeByShape` skips, or decides about. Part of the record may be written. */
const SKIPPED = 2;

/**
 * Makes a decoder for entries of one shape: what `decodeEntry` does for them, written out with every place a constant.
 *
 * Most of the time of decoding goes into looking up, in tables, where values lie; here that is in the code. What it saves is in
 * `npm run bench`. The text is made of numbers of our own only, none of them from the entry's payload.
 * @returns undefined for a shape whose entries are skipped or too rare to be worth it (no counters, none of IPv4 and IPv6, too many attributes)
 */
export function compileDecoder(shape: Shape): CompiledDecoder | undefined {
  if (shape.family === 0 || !shape.counted || shape.attributes < 0) return undefined;
  const lines = [...sameHeaders(shape), ...addresses(shape), ...counters(shape), ...rest(shape), `return ${DECODED};`];
  return new Function('d', 'f', 'b', 'o', lines.join('\n')) as CompiledDecoder;
}

/** The entry has the shape's headers, word for word. */
function sameHeaders({ headers, attributes }: Shape): string[] {
  const tests = Array.from({ length: attributes }, (_, i) => `d[f+${headers[2 * i]}]!==${headers[2 * i + 1]}`);
  return [`if(${tests.join('||')})return ${OTHER_SHAPE};`];
}

/** Word of the datagram at a place of the shape. */
function word({ places }: Shape, place: number, next = 0): string {
  return `d[f+${places[place]! + next}]`;
}

function put(at: number, text: string): string {
  return `b[o+${at}]=${text};`;
}

function swap32(name: string): string {
  return `(${name}<<24)|((${name}&65280)<<8)|((${name}>>>8)&65280)|(${name}>>>24)`;
}

function swap16(name: string): string {
  return `((${name}&255)<<8)|((${name}>>>8)&255)`;
}

function addresses(shape: Shape): string[] {
  const ends = [
    [WORD.originalSource, 0, 0],
    [WORD.originalDestination, 1, 0],
    [WORD.replySource, 0, REPLY],
    [WORD.replyDestination, 1, REPLY],
  ] as const;
  const copies = ends.flatMap(([at, which, reply]) => {
    if (shape.family === 4) {
      const from = word(shape, (which === 0 ? PLACE.sourceV4 : PLACE.destinationV4) + reply);
      return [put(at, '0'), put(at + 1, '0'), put(at + 2, '0xffff0000'), put(at + 3, from)];
    }
    const place = (which === 0 ? PLACE.sourceV6 : PLACE.destinationV6) + reply;
    return [0, 1, 2, 3].map((i) => put(at + i, word(shape, place, i)));
  });
  return [...protocols(shape), ...maybeLoopback(shape), ...copies];
}

function protocols(shape: Shape): string[] {
  const other = word(shape, PLACE.protocol + REPLY);
  return [`const p=${word(shape, PLACE.protocol)}&255;`, `if(p!==(${other}&255))return ${SKIPPED};`];
}

/** Whether both ends are loopback is for `decodeByShape` to say: here one end that may be is enough. */
function maybeLoopback(shape: Shape): string[] {
  if (shape.family === 4) return [`if((${word(shape, PLACE.sourceV4)}&255)===127)return ${SKIPPED};`];
  return [`if(${word(shape, PLACE.sourceV6)}===0)return ${SKIPPED};`];
}

function counters(shape: Shape): string[] {
  const columns = [
    [WORD.originalPackets, PLACE.packets],
    [WORD.originalBytes, PLACE.bytes],
    [WORD.replyPackets, PLACE.packets + REPLY],
    [WORD.replyBytes, PLACE.bytes + REPLY],
  ] as const;
  return ['let w=0;', ...columns.flatMap(([at, place]) => copy64(shape, at, place))];
}

/** 64 bits from network order to two words (low, high). */
function copy64(shape: Shape, at: number, place: number): string[] {
  const half = (to: number, next: number) => `w=${word(shape, place, next)};${put(to, swap32('w'))}`;
  return [half(at, 1), half(at + 1, 0)];
}

function rest(shape: Shape): string[] {
  const { places } = shape;
  const zone = places[PLACE.tupleZone]! || places[PLACE.zone]!;
  const zoneText = zone === 0 ? ['let z=0;'] : [`w=d[f+${zone}];let z=${swap16('w')};`];
  const number = (name: string, place: number) =>
    places[place] === 0 ? `const ${name}=0;` : `w=${word(shape, place)};const ${name}=${swap32('w')};`;
  const flags =
    FLAG.counters | (places[PLACE.timeout] === 0 ? 0 : FLAG.timeout) | (places[PLACE.start] === 0 ? 0 : FLAG.start);
  return [
    ...zoneText,
    put(WORD.zoneProtocol, 'z|(p<<16)'),
    ...ports(shape, WORD.originalPorts, 0),
    ...ports(shape, WORD.replyPorts, REPLY),
    number('i', PLACE.id),
    ...(places[PLACE.start] === 0
      ? [put(WORD.identity, 'i'), put(WORD.identity + 1, '0')]
      : copy64(shape, WORD.identity, PLACE.start)),
    number('s', PLACE.status),
    put(WORD.status, 's'),
    number('t', PLACE.timeout),
    put(WORD.timeout, 't'),
    put(WORD.flags, `${flags}|(${hasSourceNat(shape)}?${FLAG.sourceNat}:0)`),
  ];
}

/** Whether the reply goes to another address than the original source. */
function hasSourceNat(shape: Shape): string {
  const [source, destination, words] =
    shape.family === 4 ? [PLACE.sourceV4, PLACE.destinationV4, 1] : [PLACE.sourceV6, PLACE.destinationV6, 4];
  const differ = (i: number) => `${word(shape, source, i)}!==${word(shape, destination + REPLY, i)}`;
  return `(${Array.from({ length: words }, (_, i) => differ(i)).join('||')})`;
}

/** Ports (GRE: keys), or id, type and code of ICMP. */
function ports(shape: Shape, at: number, reply: number): string[] {
  const { places } = shape;
  const source = places[PLACE.sourcePort + reply]!;
  const destination = places[PLACE.destinationPort + reply]!;
  const type = places[PLACE.icmpType + reply]!;
  const code = places[PLACE.icmpCode + reply]!;
  const high = source === 0 ? '0' : `((d[f+${source}]&255)<<24)|((d[f+${source}]&65280)<<8)`;
  let low = '0';
  if (destination !== 0) low = `((d[f+${destination}]&255)<<8)|((d[f+${destination}]>>>8)&255)`;
  else if (type !== 0 && code !== 0) low = `((d[f+${type}]&255)<<8)|(d[f+${code}]&255)`;
  return [put(at, `(${high})|(${low})`)];
}
