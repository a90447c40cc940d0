import { type ConnectionBlock, FLAG, STRIDE, WORD } from '../record.ts';
import { Alias, type Part } from './alias.ts';
import { decodeEntries, type Entries } from './decode.ts';
import { ForwardedConnections } from './forwarded.ts';
import { type Amounts, type MovedConnection, NatConnections } from './nat-connections.ts';
import { isForwardedRecord, isPartRecord, pastOf, recordAt, restOfPast } from './past-records.ts';
import { countersOf, type Deliver, isSameAddress, swapped, writeCounters } from './record-words.ts';
import { type AddressAt, isLocalEnd, type WatchedPair, WatchedPairs } from './watched-pairs.ts';

const NONE: Amounts = [0, 0, 0, 0];

interface TranslationsOptions {
  /** Of hashes. */
  readonly seed: number;
  /** When this process began: ns since the epoch. */
  readonly sinceNs: bigint;
  /** Of parts, random and not 0: those of a process before are others. */
  readonly firstNumber: number;
}

/** An end of a connection that has an alias, as the connection's record has it. */
interface AliasSide {
  readonly pair: WatchedPair;
  /** Words of the record: the end that sees the alias, and who is behind it. */
  readonly local: number;
  readonly remote: number;
  /** From the local end's point of view. */
  readonly amounts: Amounts;
  /** What conntrack does not count is of those behind it; else it is the alias's own. */
  readonly takesUncounted: boolean;
  /** The one behind it sees another source, behind SNAT. */
  readonly hasSourceNat: boolean;
  readonly isCountedElsewhere: () => boolean;
}

/**
 * What sockets see before it is translated: a client sees a Service's address instead of a pod's, a server that of its node instead of
 * a client's. conntrack's connections say who is behind such an alias.
 *
 *   client ──{client, Service}──> node: conntrack ──{client, pod}──> pod        conntrack: original destination, reply source
 *   client ─────────────────────> node: conntrack ──{node, pod}────> pod        reply destination, original source
 *
 * Where both ends have sockets here, the pair counts where the pod is: the client's part gives no flow (FLAG.countedElsewhere). What
 * passes through without a socket of this node at either end (a NodePort whose pod is elsewhere) is taken from conntrack as it is.
 *
 * A read: `beginRead`, the map, `noteConnections` of a dump that began later, `scan` of all that the map had, `deliver` of the same.
 */
export class Translations {
  readonly #connections: NatConnections;
  readonly #pairs: WatchedPairs;
  readonly #forwarded = new ForwardedConnections();
  readonly #record = new Uint32Array(STRIDE);
  readonly #partRecord = new Uint32Array(STRIDE);
  #read = 0;
  #nextNumber: number;
  /** When the last read of the map began and the one before, ns since boot: what was made later has not been delivered. */
  #readNs: bigint | undefined;
  #readBeforeNs: bigint | undefined;

  constructor({ seed, sinceNs, firstNumber }: TranslationsOptions) {
    this.#nextNumber = firstNumber;
    this.#pairs = new WatchedPairs(seed);
    this.#connections = new NatConnections(seed, sinceNs, (renumbered) => this.#forwarded.renumber(renumbered));
  }

  /**
   * Goes on with what a process before has handed over: parts, the rest of their pairs, and what the node forwarded.
   * @param image key and counters of each record, `width` words each
   */
  restore(image: Uint32Array, width: number): void {
    this.#forwarded.restore(image, width, (at) => isForwardedRecord(image, at));
    for (const isPart of [true, false])
      for (let at = 0; at < image.length; at += width) {
        if (isForwardedRecord(image, at) || isPartRecord(image, at) !== isPart) continue;
        const source: AddressAt = [image, at + WORD.originalSource];
        const destination: AddressAt = [image, at + WORD.originalDestination];
        const protocol = image[at + WORD.zoneProtocol]! >>> 16;
        const known = this.#pairs.peek(source, destination, protocol);
        // The rest comes last: only where there are parts is there an alias.
        if (!isPart && known?.alias === undefined) continue;
        const pair = known ?? this.#pairs.watch(source, destination, protocol, this.#read);
        pair.alias ??= new Alias(image.slice(at + WORD.originalSource, at + WORD.originalSource + 4));
        pair.alias.past.push(recordAt(image, at));
      }
  }

  /** @param sinceBootNs by the clock that entries are born in */
  beginRead(sinceBootNs: bigint): void {
    this.#read++;
    this.#readBeforeNs = this.#readNs;
    this.#readNs = sinceBootNs;
    this.#pairs.beginRead();
  }

  /** A block of a dump or of DESTROY events. */
  noteConnections(block: ConnectionBlock): void {
    this.#connections.apply(block, (connection) => this.#note(connection));
  }

  endDump(complete: boolean): void {
    this.#connections.endDump(complete);
    this.#pairs.sweep(this.#read);
  }

  /** Looks which ends of the watched pairs have sockets here. @returns the entries of pairs with an alias, in their order */
  scan({ keys, values }: Entries, count: number): number[] {
    const found: number[] = [];
    if (this.#pairs.count === 0) return found;
    for (let entry = 0; entry < count; entry++) {
      const pair = this.#pairs.find(keys, entry);
      if (pair === undefined) continue;
      this.#pairs.note(pair, keys, values, entry, this.#read);
      if (pair.alias !== undefined) found.push(entry);
    }
    return found;
  }

  /** Delivers an entry of a pair with an alias, in parts. @returns how many records */
  deliver(entries: Entries, entry: number, onBlock: Deliver): number {
    const record = this.#record;
    decodeEntries(entries, entry, entry + 1, record);
    const alias = this.#pairs.find(entries.keys, entry)?.alias;
    const isSource = alias !== undefined && isSameAddress(alias.local, 0, record, WORD.originalSource);
    const isDestination = alias !== undefined && isSameAddress(alias.local, 0, record, WORD.replySource);
    if (alias === undefined || isSource === isDestination) {
      onBlock({ words: record, count: 1 });
      return 1;
    }
    const totals = countersOf(record);
    this.#goOn(alias, record, isSource);
    alias.assign(isSource ? totals : swapped(totals), this.#read);
    return this.#deliverRest(alias, isSource, onBlock) + this.#deliverParts(alias, isSource, onBlock);
  }

  /** Delivers what this node forwards for others; comes after all entries were scanned. */
  deliverForwarded(onBlock: Deliver): void {
    this.#forwarded.settle((words) => onBlock({ words, count: 1 }));
  }

  /** The entry may be another than before. */
  #goOn(alias: Alias, record: Uint32Array, isSource: boolean): void {
    const born = (BigInt(record[WORD.identity + 1]!) << 32n) | BigInt(record[WORD.identity]!);
    if (alias.born === born) return;
    const past = alias.born === undefined ? pastOf(alias.past, record) : [];
    alias.past = past.filter((words) => isPartRecord(words, 0));
    if (past.length > 0) {
      const { sum, rest } = restOfPast(past, isSource);
      alias.begin(born, sum, rest);
      return;
    }
    // What had been an entry without an alias was delivered as it was.
    const totals = isSource ? countersOf(record) : swapped(countersOf(record));
    const isNew = this.#readBeforeNs !== undefined && born >= this.#readBeforeNs;
    alias.begin(born, isNew ? NONE : totals, isNew ? NONE : totals);
  }

  #deliverRest({ rest }: Alias, isSource: boolean, onBlock: Deliver): number {
    if (rest.every((amount) => amount === 0)) return 0;
    writeCounters(this.#record, isSource ? rest : swapped(rest));
    onBlock({ words: this.#record, count: 1 });
    return 1;
  }

  #deliverParts({ local, past, parts }: Alias, isSource: boolean, onBlock: Deliver): number {
    for (const words of past) onBlock({ words, count: 1 });
    const words = this.#partRecord;
    words.set(this.#record);
    if (!isSource) words.copyWithin(WORD.originalDestination, WORD.originalSource, WORD.originalSource + 4);
    words.set(local, WORD.originalSource);
    let records = past.length;
    for (const { remote, number, totals, hasSourceNat, isCountedElsewhere } of parts.values()) {
      if (totals.every((amount) => amount === 0)) continue;
      words.set(remote, WORD.replySource);
      words[WORD.originalPorts] = number;
      writeCounters(words, totals);
      words[WORD.flags] =
        FLAG.counters | (hasSourceNat ? FLAG.sourceNat : 0) | (isCountedElsewhere() ? FLAG.countedElsewhere : 0);
      onBlock({ words, count: 1 });
      records++;
    }
    return records;
  }

  /** Watches the pairs of a connection, and claims what it moved for who is behind their aliases. */
  #note(connection: MovedConnection): void {
    const { words, at, amounts } = connection;
    const protocol = words[at + WORD.zoneProtocol]! >>> 16;
    const hasSourceNat = (words[at + WORD.flags]! & FLAG.sourceNat) !== 0;
    const address = (word: number): AddressAt => [words, at + word];
    const client = address(WORD.originalSource);
    const target = address(WORD.originalDestination);
    const server = address(WORD.replySource);
    const seenAs: AddressAt = hasSourceNat ? [words, at + WORD.replyDestination] : client;
    const asked = this.#pairs.watch(client, target, protocol, this.#read);
    const answered = this.#pairs.watch(server, seenAs, protocol, this.#read);
    const clientIsLocal = endOf(asked, client, target);
    const serverIsLocal = endOf(answered, server, seenAs);
    const { originalSource, originalDestination, replySource } = WORD;
    if (!isSameAddress(words, at + originalDestination, words, at + replySource)) {
      const sides = { local: originalSource, remote: replySource, isCountedElsewhere: serverIsLocal };
      this.#claim(connection, { pair: asked, amounts, takesUncounted: true, hasSourceNat, ...sides });
    }
    if (!hasSourceNat) return;
    const sides = { local: replySource, remote: originalSource, isCountedElsewhere: () => false };
    this.#claim(connection, {
      ...{ pair: answered, amounts: swapped(amounts), takesUncounted: false, hasSourceNat: false },
      ...sides,
    });
    this.#forwarded.note(connection, () => clientIsLocal() || serverIsLocal());
  }

  #claim({ words, at, isOld, isOffloaded }: MovedConnection, side: AliasSide): void {
    const { pair, amounts } = side;
    pair.alias ??= new Alias(words.slice(at + side.local, at + side.local + 4));
    if (!isSameAddress(pair.alias.local, 0, words, at + side.local)) return;
    const part = this.#partOf(pair.alias, words.subarray(at + side.remote, at + side.remote + 4), side);
    if (!isOld) {
      for (let i = 0; i < 4; i++) part.claims[i]! += amounts[i]!;
      part.claimedAtRead = this.#read;
    }
    if ((isOld || isOffloaded) && side.takesUncounted) part.weight += Math.max(1, amounts[1] + amounts[3]);
  }

  #partOf({ parts }: Alias, remote: Uint32Array, { isCountedElsewhere, hasSourceNat }: AliasSide): Part {
    const key = `${remote.join()} ${hasSourceNat}`;
    const known = parts.get(key);
    if (known !== undefined) return known;
    const amounts = { totals: [...NONE] as Part['totals'], claims: [...NONE] as Part['claims'] };
    const part = { remote: remote.slice(), number: this.#nextNumber++, ...amounts, claimedAtRead: 0, weight: 0 };
    parts.set(key, { ...part, hasSourceNat, isCountedElsewhere });
    return parts.get(key)!;
  }
}

/** Whether an end of a pair has sockets here, asked later: the record is not kept. */
function endOf(pair: WatchedPair, end: AddressAt, other: AddressAt): () => boolean {
  const copy = ([words, at]: AddressAt): AddressAt => [words.slice(at, at + 4), 0];
  const [own, far] = [copy(end), copy(other)];
  return () => isLocalEnd(pair, own, far);
}
