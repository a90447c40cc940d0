import type { Log } from '@egressd/daemon/log';
import type { ConnectionBlock } from './record.ts';
import {
  type ConntrackSource,
  type EndsListener,
  NO_SWITCHES,
  type ReadReport,
  type SourceSwitches,
  type TableState,
} from './source.ts';
import { SourceError, type SourceErrorCode } from './source-error.ts';

/** Where connections may be read. */
export type SourceName = ConntrackSource['name'];

/** What there is to choose from. The functions throw SourceError where a source cannot be read. */
export interface Choice {
  /** The one that is to be read, whatever there is; undefined: Cilium where it is at work, else netfilter. */
  readonly mode: 'netfilter' | 'cilium' | undefined;
  openNetfilter(): Promise<ConntrackSource>;
  /** @param forced also where its maps do not tell yet what they count, or whether it is at work */
  openCilium(forced: boolean): Promise<ConntrackSource>;
  /** Whether Cilium's maps are there at all: asked often. */
  hasCiliumMaps(): boolean;
  readonly log: Log;
  /** ms, of a clock that only goes forward. */
  readonly now: () => number;
}

/** A source that cannot be read although it is there, or was asked for. */
export interface Unusable {
  readonly source: SourceName;
  readonly reason: SourceErrorCode;
}

/** Maps may come with an agent that starts after us, and entries with the first traffic. */
const LOOK_AGAIN_MS = 60_000;
/** What an upgrade or a setting would have to change is not looked at as often. */
const LOOK_LATER_MS = 600_000;
const SOON: ReadonlySet<SourceErrorCode> = new Set(['absent', 'untold', 'stale', 'system']);
/** Missing rights and libraries do not come by waiting. */
const HOPELESS: ReadonlySet<SourceErrorCode> = new Set(['permission', 'library', 'unsupported']);
/** Maps that vanish may be replaced by an agent that starts: for so long nothing else is read. */
const PATIENCE_MS = 30_000;
const PATIENT_WITH: ReadonlySet<SourceErrorCode> = new Set(['absent', 'no_endpoints', 'system', 'untold']);

/** Chooses a source and says which and why. @throws SourceError where none can be read */
export async function chooseSource(choice: Choice): Promise<ChosenSource> {
  const chosen = new ChosenSource(choice);
  await chosen.open();
  return chosen;
}

/**
 * The source that is in use: one that becomes unusable is exchanged for another, and back. `name` changes with it, before its first
 * block is delivered.
 */
export class ChosenSource implements ConntrackSource {
  readonly #choice: Choice;
  #current: ConntrackSource | undefined;
  #listener: EndsListener | undefined;
  #nextLookMs = 0;
  #failingSinceMs: number | undefined;
  /** Why Cilium's maps cannot be read, as of the last look. */
  #reason: SourceErrorCode | undefined;

  constructor(choice: Choice) {
    this.#choice = choice;
  }

  get name(): SourceName {
    return this.#current?.name ?? 'cilium';
  }

  /** What is there or was asked for, and cannot be read. A node without Cilium misses nothing. */
  get unusable(): Unusable | undefined {
    if (this.#reason === undefined || (this.#reason === 'absent' && this.#choice.mode !== 'cilium')) return undefined;
    return { source: 'cilium', reason: this.#reason };
  }

  /** Whether the source in use tells the ends of connections. */
  get tellsEnds(): boolean {
    return this.#current?.follow !== undefined;
  }

  async open(): Promise<void> {
    const { mode, openNetfilter } = this.#choice;
    if (mode === 'netfilter') this.#use(await openNetfilter(), 'not looked for others', 'asked for (-ct-mode)');
    else await this.#lookForCilium();
    if (this.#current === undefined && mode === undefined) await this.#useNetfilter();
  }

  async read(onBlock: (block: ConnectionBlock) => void): Promise<ReadReport> {
    const { mode, now } = this.#choice;
    if (mode !== 'netfilter' && this.#current?.name !== 'cilium' && now() >= this.#nextLookMs)
      await this.#lookForCilium();
    const source = this.#opened();
    try {
      const report = await source.read(onBlock);
      this.#failingSinceMs = undefined;
      return report;
    } catch (error) {
      if (source.name === 'netfilter' || !(error instanceof SourceError)) throw error;
      this.#note(error);
      if (mode === 'cilium' || this.#isPatient(error)) throw error;
      await this.#useNetfilter();
      await source.close();
      return this.#opened().read(onBlock);
    }
  }

  follow(listener: EndsListener): void {
    this.#listener = listener;
    this.#current?.follow?.(listener);
  }

  switches(): SourceSwitches {
    return this.#current?.switches() ?? NO_SWITCHES;
  }

  table(): TableState | undefined {
    return this.#current?.table?.();
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
  async #lookForCilium(): Promise<void> {
    const { mode, openCilium, hasCiliumMaps, now, log } = this.#choice;
    const forced = mode === 'cilium';
    this.#nextLookMs = now() + LOOK_AGAIN_MS;
    try {
      if (!hasCiliumMaps()) throw new SourceError('absent', "there are no maps of Cilium's");
      const source = await openCilium(forced);
      const before = this.#current;
      this.#use(
        source,
        "Cilium's maps, one counter a direction",
        forced ? 'asked for (-ct-mode)' : 'Cilium is at work',
      );
      this.#reason = undefined;
      await before?.close();
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      if (forced && HOPELESS.has(error.code)) throw error;
      const isNew = this.#note(error);
      if (forced) this.#nextLookMs = now();
      if (isNew && (forced || error.code !== 'absent'))
        log.warn("Cilium's maps cannot be read", { reason: error.code, error: error.message });
    }
  }

  async #useNetfilter(): Promise<void> {
    const source = await this.#choice.openNetfilter();
    if (this.#reason === 'absent') this.#use(source, "no maps of Cilium's", 'it is the only one');
    else this.#use(source, "Cilium's maps", `they cannot be read (${this.#reason})`);
  }

  #use(source: ConntrackSource, seen: string, why: string): void {
    this.#current = source;
    this.#failingSinceMs = undefined;
    if (this.#listener !== undefined) source.follow?.(this.#listener);
    this.#choice.log.info('source of connections', { chosen: source.name, seen, why });
  }

  /** @returns whether it was not known */
  #note({ code }: SourceError): boolean {
    const isNew = this.#reason !== code;
    this.#reason = code;
    this.#nextLookMs = this.#choice.now() + (SOON.has(code) ? LOOK_AGAIN_MS : LOOK_LATER_MS);
    return isNew;
  }

  #isPatient({ code }: SourceError): boolean {
    const now = this.#choice.now();
    this.#failingSinceMs ??= now;
    return PATIENT_WITH.has(code) && now - this.#failingSinceMs < PATIENCE_MS;
  }
}
