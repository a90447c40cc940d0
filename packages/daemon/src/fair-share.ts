/** How many may be held. */
export interface ShareLimits {
  readonly all: number;
  readonly perAddress: number;
  /** What is younger makes no room for others: then the newcomer is refused. Not set: 0. */
  readonly graceMs?: number;
}

/** A newcomer found no room. */
export interface Full<T> {
  readonly limit: 'limit' | 'address_limit';
  /** What must go: the newcomer itself where nothing can make room for it. */
  readonly evicted: T;
}

/**
 * What clients hold of something limited (connections, for example), shared between their addresses: where it is full, the address that has
 * most makes room, with its oldest that is idle. So whoever takes much takes it from itself, and who comes with little is let in.
 *
 *   address -> item -> since, oldest first
 *
 * Pure: the caller brings the time, and ends what is evicted.
 */
export class FairShare<T> {
  readonly #limits: ShareLimits;
  readonly #isBusy: (item: T) => boolean;
  readonly #byAddress = new Map<string, Map<T, number>>();
  #size = 0;

  /** @param isBusy of its address, what is not busy makes room first; not set: nothing is busy */
  constructor(limits: ShareLimits, isBusy: (item: T) => boolean = () => false) {
    this.#limits = limits;
    this.#isBusy = isBusy;
  }

  get size(): number {
    return this.#size;
  }

  /** Takes one more. @returns undefined: there was room; else what is held no longer */
  add(item: T, address: string, nowMs: number): Full<T> | undefined {
    const own = this.#byAddress.get(address);
    const limit = this.#limitReached(own?.size ?? 0);
    if (limit === undefined) return this.#hold(item, address, nowMs);
    const from = limit === 'address_limit' ? address : this.#busiest(address);
    const oldest = this.#oldestIdle(from);
    if (oldest === undefined || nowMs - oldest[1] < this.#graceMs(from, own?.size ?? 0))
      return { limit, evicted: item };
    this.delete(oldest[0], from);
    this.#hold(item, address, nowMs);
    return { limit, evicted: oldest[0] };
  }

  /** Is held no longer. What was evicted is gone already. */
  delete(item: T, address: string): void {
    const items = this.#byAddress.get(address);
    if (!items?.delete(item)) return;
    this.#size--;
    if (items.size === 0) this.#byAddress.delete(address);
  }

  #limitReached(own: number): Full<T>['limit'] | undefined {
    if (own >= this.#limits.perAddress) return 'address_limit';
    return this.#size >= this.#limits.all ? 'limit' : undefined;
  }

  #hold(item: T, address: string, nowMs: number): undefined {
    const items = this.#byAddress.get(address) ?? new Map<T, number>();
    this.#byAddress.set(address, items.set(item, nowMs));
    this.#size++;
  }

  /** Who has clearly more than the newcomer makes room at once. */
  #graceMs(from: string, own: number): number {
    const clearlyMore = this.#byAddress.get(from)!.size > own + 1;
    return clearlyMore ? 0 : (this.#limits.graceMs ?? 0);
  }

  /** The address that holds most; of several the newcomer's own, else the one whose oldest is oldest. */
  #busiest(own: string): string {
    let [busiest, most, since] = ['', 0, 0];
    for (const [address, items] of this.#byAddress) {
      const [first] = items.values();
      const older = address === own || (busiest !== own && first! < since);
      if (items.size > most || (items.size === most && older)) [busiest, most, since] = [address, items.size, first!];
    }
    return busiest;
  }

  #oldestIdle(address: string): [T, number] | undefined {
    let oldest: [T, number] | undefined;
    for (const entry of this.#byAddress.get(address) ?? []) {
      if (!this.#isBusy(entry[0])) return entry;
      oldest ??= entry;
    }
    return oldest;
  }
}

/**
 * The address that a client shares with others like it: of IPv4 the address, of IPv6 the first 64 bits, since who has one address there has
 * them all. @param remoteAddress as Node.js writes it; undefined: the connection is gone
 */
export function shareAddress(remoteAddress = ''): string {
  if (remoteAddress.startsWith('::ffff:') && remoteAddress.includes('.')) return remoteAddress.slice('::ffff:'.length);
  if (!remoteAddress.includes(':')) return remoteAddress;
  const [head = '', tail] = remoteAddress.split('::') as [string, string?];
  const first = head === '' ? [] : head.split(':');
  const last = tail ? tail.split(':') : [];
  const zeros = tail === undefined ? 0 : 8 - first.length - last.length;
  return [...first, ...Array<string>(zeros).fill('0'), ...last].slice(0, 4).join(':');
}
