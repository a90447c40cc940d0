import type { AggregateImage, OtherKind } from '../../aggregate/image.ts';
import type { Scope, Snapshot } from '../../aggregate/snapshot.ts';
import type { Endpoint } from '../../enrich/endpoint.ts';
import { NETWORK_KINDS } from '../../networks/network.ts';
import { Malformed, type Reader, type Writer } from './columns.ts';
import { COUNTERS, MAX_TIME_MS } from './constants.ts';

const PLACES: readonly Endpoint['place'][] = ['owned', 'public', 'private', 'unknown'];
const SCOPES: readonly Scope[] = ['same_zone', 'cross_zone', 'cross_region', 'internet', 'private', 'unknown'];
const OWNER_FIELDS = ['namespace', 'pod', 'node', 'zone', 'region'] as const;
const WORKLOAD_FIELDS = ['kind', 'name'] as const;
const NETWORK_FIELDS = ['name', 'kind', 'service'] as const;
/** Length of an `addressKey`: it has two bytes of the address in a character. */
const KEY_CHARACTERS = 8;
/** Ids and low halves of totals: 2^53, exact as doubles. */
const MAX_EXACT = Number.MAX_SAFE_INTEGER;
const MAX_U32 = 2 ** 32 - 1;

/** Which parts of owners a version of the file has. */
interface OwnerParts {
  readonly workloads: boolean;
  readonly networks: boolean;
}

/** Writes the totals of all series. Times are written as time before the image's, ids as difference from the one before. */
export function writeTotals(into: Writer, image: AggregateImage): void {
  const { timeMs, nextId, ids, changed, others } = image;
  into.number(timeMs);
  into.number(nextId);
  writeEndpoints(into, image.endpoints);
  into.number(ids.length);
  into.column(ids.map((id, row) => id - (row === 0 ? 0 : ids[row - 1]!)));
  into.column(changed.map((at) => timeMs - at));
  for (const column of [image.source, image.destination, image.protocol]) into.column(column);
  for (const counter of COUNTERS) {
    into.column(image.totals[counter].low);
    into.column(image.totals[counter].high);
  }
  into.number(others.size);
  for (const [id, { dst_ip_type, cross_zone, scope }] of others) {
    into.number(id);
    into.number((SCOPES.indexOf(scope) * 2 + (cross_zone ? 1 : 0)) * 2 + (dst_ip_type === 'public' ? 1 : 0));
  }
}

/**
 * Reads what `writeTotals` wrote.
 * @param has what the version that wrote it wrote of owners
 * @throws Malformed
 */
export function readTotals(from: Reader, has: OwnerParts): AggregateImage {
  const timeMs = from.number(MAX_TIME_MS);
  const nextId = from.number(MAX_EXACT);
  const endpoints = readEndpoints(from, has);
  const rows = from.count();
  const ids = from.column(rows, MAX_EXACT);
  for (let row = 1; row < rows; row++) ids[row] = ids[row]! + ids[row - 1]!;
  const changed = from.column(rows, timeMs).map((before) => timeMs - before);
  const source = new Uint32Array(from.column(rows, endpoints.length));
  const destination = new Uint32Array(from.column(rows, MAX_U32));
  const protocol = new Uint8Array(from.column(rows, 255));
  const totals = Object.fromEntries(
    COUNTERS.map((counter) => [counter, { low: from.column(rows, MAX_EXACT), high: from.column(rows, MAX_EXACT) }]),
  ) as unknown as Snapshot['totals'];
  const image = {
    timeMs,
    nextId,
    endpoints,
    source,
    destination,
    protocol,
    ids,
    changed,
    totals,
    others: readOthers(from),
  };
  checkSeries(image);
  return image;
}

/** Endpoints that exist, kinds that are known, ids in ascending order. @throws Malformed */
function checkSeries({ nextId, endpoints, source, destination, ids, others }: AggregateImage): void {
  let before = 0;
  for (const [row, id] of ids.entries()) {
    if (id <= before || id >= nextId) throw new Malformed(`series ${id} after ${before}`);
    before = id;
    const to = destination[row]!;
    const known = source[row] === 0 ? to === id && others.has(to) : to > 0 && to <= endpoints.length;
    if (!known) throw new Malformed(`series ${id} without an endpoint`);
  }
}

function readOthers(from: Reader): Map<number, OtherKind> {
  const others = new Map<number, OtherKind>();
  for (let remaining = from.count(); remaining > 0; remaining--) {
    const id = from.number(MAX_U32);
    const code = from.number(SCOPES.length * 4 - 1);
    const [dst_ip_type, cross_zone] = [code & 1 ? 'public' : 'private', (code & 2) !== 0] as const;
    others.set(id, { dst_ip_type, cross_zone, scope: SCOPES[code >> 2]! });
  }
  return others;
}

/** A dictionary of the few different texts of owners, and their numbers in it by column. */
function writeEndpoints(into: Writer, endpoints: readonly Endpoint[]): void {
  const numbers = new Map<string, number>();
  const numberOf = (text: string): number => {
    const known = numbers.get(text) ?? numbers.size;
    numbers.set(text, known);
    return known;
  };
  const owners = OWNER_FIELDS.map((field) => Uint32Array.from(endpoints, ({ owner }) => numberOf(owner[field])));
  const workloads = WORKLOAD_FIELDS.map((field) =>
    Uint32Array.from(endpoints, ({ owner }) => numberOf(owner.workload?.[field] ?? '')),
  );
  const networks = NETWORK_FIELDS.map((field) =>
    Uint32Array.from(endpoints, ({ owner }) => numberOf(owner.network?.[field] ?? '')),
  );
  const keys = new Uint8Array(endpoints.length * KEY_CHARACTERS * 2);
  for (const [at, { key }] of endpoints.entries()) {
    for (let i = 0; i < KEY_CHARACTERS; i++) {
      keys[(at * KEY_CHARACTERS + i) * 2] = key.charCodeAt(i) >> 8;
      keys[(at * KEY_CHARACTERS + i) * 2 + 1] = key.charCodeAt(i) & 0xff;
    }
  }
  into.texts([...numbers.keys()]);
  into.number(endpoints.length);
  into.column(keys);
  into.column(Uint8Array.from(endpoints, ({ place }) => PLACES.indexOf(place)));
  for (const column of [...owners, ...workloads, ...networks]) into.column(column);
}

function readEndpoints(from: Reader, has: OwnerParts): Endpoint[] {
  const texts = from.texts();
  const length = from.count();
  const keys = from.column(length * KEY_CHARACTERS * 2, 255);
  const places = from.column(length, PLACES.length - 1);
  const owners = OWNER_FIELDS.map(() => from.column(length, texts.length - 1));
  const columns = (fields: readonly string[]) => fields.map(() => from.column(length, texts.length - 1));
  const workloads = has.workloads ? columns(WORKLOAD_FIELDS) : [];
  const networks = has.networks ? columns(NETWORK_FIELDS) : [];
  const textAt = (column: Float64Array | undefined, at: number) => texts[column?.[at] ?? -1] ?? '';
  return Array.from(places, (place, at) => ({
    key: String.fromCharCode(
      ...Array.from({ length: KEY_CHARACTERS }, (_, i) => codeAt(keys, at * KEY_CHARACTERS + i)),
    ),
    place: PLACES[place]!,
    owner: ownerAt(
      Object.fromEntries(
        OWNER_FIELDS.map((field, i) => [field, textAt(owners[i], at)]),
      ) as unknown as Endpoint['owner'],
      workloads.map((column) => textAt(column, at)),
      networks.map((column) => textAt(column, at)),
    ),
  }));
}

function ownerAt(
  owner: Endpoint['owner'],
  [workloadKind = '', workloadName = '']: readonly string[],
  [network = '', networkKind = '', service = '']: readonly string[],
): Endpoint['owner'] {
  const { zone, region } = owner;
  const kind = NETWORK_KINDS.find((known) => known === networkKind) ?? '';
  return {
    ...owner,
    ...(workloadName === '' ? {} : { workload: { kind: workloadKind, name: workloadName } }),
    ...(network === '' ? {} : { network: { name: network, kind, zone, region, service } }),
  };
}

function codeAt(keys: Float64Array, character: number): number {
  return keys[character * 2]! * 256 + keys[character * 2 + 1]!;
}
