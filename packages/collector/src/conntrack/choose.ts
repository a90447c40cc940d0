import type { Log } from '@egressd/daemon/log';
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
  /** `-ct-mode`: the one to read, whatever there is; undefined: Cilium where it is active, else netfilter. */
  readonly mode: 'netfilter' | 'cilium' | undefined;
  openNetfilter(): Promise<ConntrackSource>;
  /** @param forced also where its maps do not show yet what they count, or whether Cilium is active */
  openCilium(forced: boolean): Promise<ConntrackSource>;
  /** Whether Cilium's maps are there at all: called often. */
  hasCiliumMaps(): boolean;
  readonly log: Log;
  /** ms, of a clock that only goes forward. */
  readonly now: () => number;
}

/** A source that cannot be read although it is there, or was asked for. */
interface UnusableSource {
  readonly source: SourceName;
  readonly reason: SourceErrorCode;
}

/** Cilium's maps may come with an agent that starts after us, and their entries with the first traffic. */
const RETRY_SOON_MS = 60_000;
const RETRY_SOON: ReadonlySet<SourceErrorCode> = new Set(['absent', 'undetermined', 'stale', 'system']);
/** What only an upgrade or a setting would change is tried less often. */
const RETRY_LATER_MS = 600_000;
/** Missing rights and libraries do not come by waiting. */
const PERMANENT: ReadonlySet<SourceErrorCode> = new Set(['permission', 'library', 'unsupported']);
/** Maps that vanish may be replaced by an agent that starts: for so long no other source is read. */
const GRACE_MS = 30_000;
const TRANSIENT: ReadonlySet<SourceErrorCode> = new Set(['absent', 'no_endpoints', 'system', 'undetermined']);

/** Chooses a source and logs which and why. @throws SourceError where none can be read */
export async function chooseSource(options: ChoiceOptions): Promise<ChosenSource> {
  const chosen = new ChosenSource(options);
  await chosen.open();
  return chosen;
}

/**
 * The source in use: where it becomes unusable another takes its place, until it can be read again. `name` changes with it, before
 * its first block is delivered.
 */
export class ChosenSource implements ConntrackSource {
  readonly #options: ChoiceOptions;
  #current: ConntrackSource | undefined;
  #listener: DestroyListener | undefined;
  #nextTryMs = 0;
  #failingSinceMs: number | undefined;
  /** Why Cilium's maps cannot be read, as of the last try. */
  #reason: SourceErrorCode | undefined;

  constructor(options: ChoiceOptions) {
    this.#options = options;
  }

  get name(): SourceName {
    return this.#current?.name ?? 'cilium';
  }

  /** What is there or was asked for, and cannot be read; undefined on a node without Cilium. */
  get unusable(): UnusableSource | undefined {
    if (this.#reason === undefined || (this.#reason === 'absent' && this.#options.mode !== 'cilium')) return undefined;
    return { source: 'cilium', reason: this.#reason };
  }

  get deliversDestroyEvents(): boolean {
    return this.#current?.subscribe !== undefined;
  }

  async open(): Promise<void> {
    const { mode, openNetfilter } = this.#options;
    if (mode === 'netfilter') this.#use(await openNetfilter(), 'not looked for others', 'asked for (-ct-mode)');
    else await this.#tryCilium();
    if (this.#current === undefined && mode === undefined) await this.#useNetfilter();
  }

  async read(onBlock: (block: ConnectionBlock) => void): Promise<ReadReport> {
    const { mode, now } = this.#options;
    if (mode !== 'netfilter' && this.#current?.name !== 'cilium' && now() >= this.#nextTryMs) await this.#tryCilium();
    const source = this.#opened();
    try {
      const report = await source.read(onBlock);
      this.#failingSinceMs = undefined;
      return report;
    } catch (error) {
      if (source.name === 'netfilter' || !(error instanceof SourceError)) throw error;
      this.#noteError(error);
      if (mode === 'cilium' || this.#isWithinGrace(error)) throw error;
      await this.#useNetfilter();
      await source.close();
      return this.#opened().read(onBlock);
    }
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
    throw new SourceError(this.#reason ?? 'absent', "Cilium's maps cannot be read yet (-ct-mode=cilium)");
  }

  /** Uses Cilium's maps where they can be read. */
  async #tryCilium(): Promise<void> {
    const { mode, openCilium, hasCiliumMaps, now, log } = this.#options;
    const forced = mode === 'cilium';
    this.#nextTryMs = now() + RETRY_SOON_MS;
    try {
      if (!hasCiliumMaps()) throw new SourceError('absent', "there are no maps of Cilium's");
      const source = await openCilium(forced);
      const before = this.#current;
      this.#use(source, "Cilium's maps, one counter a direction", forced ? 'asked for (-ct-mode)' : 'Cilium is active');
      this.#reason = undefined;
      await before?.close();
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      if (forced && PERMANENT.has(error.code)) throw error;
      const isNew = this.#noteError(error);
      if (forced) this.#nextTryMs = now();
      if (isNew && (forced || error.code !== 'absent'))
        log.warn("Cilium's maps cannot be read", { reason: error.code, error: error.message });
    }
  }

  async #useNetfilter(): Promise<void> {
    const source = await this.#options.openNetfilter();
    if (this.#reason === 'absent') this.#use(source, "no maps of Cilium's", 'it is the only one');
    else this.#use(source, "Cilium's maps", `they cannot be read (${this.#reason})`);
  }

  #use(source: ConntrackSource, seen: string, why: string): void {
    this.#current = source;
    this.#failingSinceMs = undefined;
    if (this.#listener !== undefined) source.subscribe?.(this.#listener);
    this.#options.log.info('source of connections', { chosen: source.name, seen, why });
  }

  /** @returns whether it is another reason than before */
  #noteError({ code }: SourceError): boolean {
    const isNew = this.#reason !== code;
    this.#reason = code;
    this.#nextTryMs = this.#options.now() + (RETRY_SOON.has(code) ? RETRY_SOON_MS : RETRY_LATER_MS);
    return isNew;
  }

  #isWithinGrace({ code }: SourceError): boolean {
    const now = this.#options.now();
    this.#failingSinceMs ??= now;
    return TRANSIENT.has(code) && now - this.#failingSinceMs < GRACE_MS;
  }
}
