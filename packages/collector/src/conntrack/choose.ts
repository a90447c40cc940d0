import type { Log } from '@egressd/daemon/log';
import { Candidate } from './candidate.ts';
import type { ConnectionBlock } from './record.ts';
import {
  type ConntrackSource,
  type ConntrackSysctls,
  type DestroyListener,
  type KernelView,
  type ReadReport,
  type TableState,
  UNKNOWN_SYSCTLS,
} from './source.ts';
import { SourceError, type SourceErrorCode } from './source-error.ts';

/** Where connections may be read. */
type SourceName = ConntrackSource['name'];

/** The sources to choose from, and how. The functions throw SourceError where a source cannot be read. */
interface ChoiceOptions {
  /** `-ct-mode`: the one to read; undefined: the best that there is. */
  readonly mode: SourceName | undefined;
  openNetfilter(): Promise<ConntrackSource>;
  /** @param forced also where its maps do not show yet what they count, or whether Cilium is active */
  openCilium(forced: boolean): Promise<ConntrackSource>;
  /** Whether Cilium's maps are there at all: called often. */
  hasCiliumMaps(): boolean;
  openEbpf(): Promise<ConntrackSource>;
  /** A collector before this one counted by eBPF. */
  hasEbpfMaps(): boolean;
  readonly log: Log;
  /** ms, of a clock that only goes forward. */
  readonly now: () => number;
}

/** A source that cannot be read although it is there, or was asked for. */
interface UnusableSource {
  readonly source: SourceName;
  readonly reason: SourceErrorCode;
}

/** Missing rights and libraries do not come by waiting. */
const PERMANENT: ReadonlySet<SourceErrorCode> = new Set(['permission', 'library', 'unsupported']);
/** Cilium carries the traffic, and its maps do not say how much. */
const UNTRUSTED: ReadonlySet<SourceErrorCode> = new Set([
  'directions_summed',
  'counters_off',
  'sizes',
  'no_endpoints',
  'layout_unknown',
]);

/** Chooses a source and logs which and why. @throws SourceError where none can be read */
export async function chooseSource(options: ChoiceOptions): Promise<ChosenSource> {
  const chosen = new ChosenSource(options);
  await chosen.open();
  return chosen;
}

/**
 * The source in use: where it becomes unusable another takes its place, until it can be read again. `name` changes with it, before
 * its first block is delivered.
 *
 *   Cilium's maps ──untrusted, absent──> eBPF, where something else than netfilter carries packets ──cannot, need not──> netfilter
 */
export class ChosenSource implements ConntrackSource {
  readonly #options: ChoiceOptions;
  readonly #cilium = new Candidate('cilium');
  readonly #ebpf = new Candidate('ebpf');
  #current: ConntrackSource | undefined;
  #listener: DestroyListener | undefined;
  /** Why eBPF is to count; undefined: netfilter's table has all. */
  #ebpfWanted: string | undefined;

  constructor(options: ChoiceOptions) {
    this.#options = options;
  }

  get name(): SourceName {
    return this.#current?.name ?? 'cilium';
  }

  /** What is there or was asked for, and cannot be read. */
  get unusable(): readonly UnusableSource[] {
    return [this.#cilium, this.#ebpf].flatMap(({ name, reason }) => {
      const isMissed = name !== 'cilium' || reason !== 'absent' || this.#options.mode === 'cilium';
      return reason !== undefined && isMissed ? [{ source: name, reason }] : [];
    });
  }

  get deliversDestroyEvents(): boolean {
    return this.#current?.subscribe !== undefined;
  }

  async open(): Promise<void> {
    const { mode, openNetfilter, hasEbpfMaps } = this.#options;
    if (mode === 'netfilter') this.#use(await openNetfilter(), 'not looked for others', 'asked for (-ct-mode)');
    if (mode === 'ebpf') this.#ebpfWanted = 'asked for (-ct-mode)';
    if (mode === 'cilium' || mode === undefined) await this.#tryCilium();
    if (mode === undefined && hasEbpfMaps()) this.#ebpfWanted ??= 'a collector before this one did';
    if (this.#current === undefined && mode !== 'cilium') await this.#useNext();
  }

  /** Traffic passes netfilter's table by: from the next read on eBPF counts, where it can. */
  passesNetfilterBy(why: string): void {
    if (this.#options.mode === undefined) this.#ebpfWanted ??= why;
  }

  async read(onBlock: (block: ConnectionBlock) => void): Promise<ReadReport> {
    await this.#tryBetter();
    const source = this.#opened();
    try {
      const report = await source.read(onBlock);
      this.#candidateOf(source)?.noteSuccess();
      return report;
    } catch (error) {
      const candidate = this.#candidateOf(source);
      if (candidate === undefined || !(error instanceof SourceError)) throw error;
      const { mode, now } = this.#options;
      candidate.noteError(error, now());
      if (mode === 'cilium' || candidate.isWithinGrace(error, now())) throw error;
      await this.#useNext();
      await source.close();
      return this.#opened().read(onBlock);
    }
  }

  restore(image: Uint32Array, width: number): void {
    this.#current?.restore?.(image, width);
  }

  subscribe(listener: DestroyListener): void {
    this.#listener = listener;
    this.#current?.subscribe?.(listener);
  }

  sysctls(): ConntrackSysctls {
    return this.#current?.sysctls() ?? UNKNOWN_SYSCTLS;
  }

  table(): TableState | undefined {
    return this.#current?.table?.();
  }

  async blindSpots(): Promise<KernelView | undefined> {
    return this.#current?.blindSpots?.();
  }

  async nodeAddresses(): Promise<Uint8Array[]> {
    return this.#opened().nodeAddresses();
  }

  async close(): Promise<void> {
    await this.#current?.close();
  }

  #opened(): ConntrackSource {
    if (this.#current !== undefined) return this.#current;
    throw new SourceError(this.#cilium.reason ?? 'absent', "Cilium's maps cannot be read yet (-ct-mode=cilium)");
  }

  #candidateOf({ name }: ConntrackSource): Candidate | undefined {
    return [this.#cilium, this.#ebpf].find((candidate) => candidate.name === name);
  }

  /** A source that comes before the one in use may be there by now. */
  async #tryBetter(): Promise<void> {
    const { mode, now } = this.#options;
    const before = this.#current;
    const isLookedFor = mode === undefined || mode === 'cilium';
    if (isLookedFor && before?.name !== 'cilium' && this.#cilium.isDue(now())) await this.#tryCilium();
    if (this.#current?.name === 'netfilter' && this.#ebpf.isDue(now())) await this.#tryEbpf();
    if (before !== this.#current) await before?.close();
  }

  /** Uses Cilium's maps where they can be read. */
  async #tryCilium(): Promise<void> {
    const { mode, openCilium, hasCiliumMaps, now, log } = this.#options;
    const forced = mode === 'cilium';
    this.#cilium.noteTry(now());
    try {
      if (!hasCiliumMaps()) throw new SourceError('absent', "there are no maps of Cilium's");
      const source = await openCilium(forced);
      this.#use(source, "Cilium's maps, one counter a direction", forced ? 'asked for (-ct-mode)' : 'Cilium is active');
      this.#cilium.noteSuccess();
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      if (forced && PERMANENT.has(error.code)) throw error;
      const isNew = this.#cilium.noteError(error, now());
      if (forced) this.#cilium.tryNow(now());
      if (isNew && (forced || error.code !== 'absent'))
        log.warn("Cilium's maps cannot be read", { reason: error.code, error: error.message });
    }
  }

  /** Counts by eBPF where that is wanted and possible. */
  async #tryEbpf(): Promise<void> {
    const { openEbpf, now, log } = this.#options;
    const { reason } = this.#cilium;
    const why = reason !== undefined && UNTRUSTED.has(reason) ? `Cilium's maps cannot be read (${reason})` : undefined;
    const wanted = this.#ebpfWanted ?? why;
    if (wanted === undefined) return;
    this.#ebpf.noteTry(now());
    try {
      this.#use(await openEbpf(), 'the sockets of this node, counted by eBPF', wanted);
      this.#ebpf.noteSuccess();
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      if (this.#ebpf.noteError(error, now()))
        log.warn('cannot count by eBPF', { reason: error.code, error: error.message, wanted });
    }
  }

  /** What comes after Cilium's maps. */
  async #useNext(): Promise<void> {
    const failed = this.#current;
    if (failed?.name !== 'ebpf') await this.#tryEbpf();
    if (this.#current !== failed) return;
    const source = await this.#options.openNetfilter();
    const { reason: cilium } = this.#cilium;
    const { reason: ebpf } = this.#ebpf;
    if (ebpf !== undefined) this.#use(source, 'no counting by eBPF', `it cannot be (${ebpf})`);
    else if (cilium === 'absent') this.#use(source, "no maps of Cilium's", 'it is the only one');
    else this.#use(source, "Cilium's maps", `they cannot be read (${cilium})`);
  }

  #use(source: ConntrackSource, seen: string, why: string): void {
    this.#current = source;
    if (this.#listener !== undefined) source.subscribe?.(this.#listener);
    this.#options.log.info('source of connections', { chosen: source.name, seen, why });
  }
}
