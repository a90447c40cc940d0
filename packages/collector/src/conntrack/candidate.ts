import type { ConntrackSource } from './source.ts';
import type { SourceError, SourceErrorCode } from './source-error.ts';

/** What Cilium's maps lack may come with an agent that starts after us, and their entries with the first traffic. */
const RETRY_SOON_MS = 60_000;
const RETRY_SOON: ReadonlySet<SourceErrorCode> = new Set(['absent', 'undetermined', 'stale', 'system']);
/** What only an upgrade or a setting would change is tried less often. */
const RETRY_LATER_MS = 600_000;
/** What vanishes may be replaced by an agent that starts: for so long no other source is read. */
const GRACE_MS = 30_000;
const TRANSIENT: ReadonlySet<SourceErrorCode> = new Set(['absent', 'no_endpoints', 'system', 'undetermined']);

/** A source that may be in use: why it cannot be, as of the last try, and when it is tried again. */
export class Candidate {
  readonly name: ConntrackSource['name'];
  #reason: SourceErrorCode | undefined;
  #nextTryMs = 0;
  #failingSinceMs: number | undefined;

  constructor(name: ConntrackSource['name']) {
    this.name = name;
  }

  /** Why it cannot be read; undefined: it was not tried, or works. */
  get reason(): SourceErrorCode | undefined {
    return this.#reason;
  }

  isDue(now: number): boolean {
    return now >= this.#nextTryMs;
  }

  /** It is tried: not again at once, however it ends. */
  noteTry(now: number): void {
    this.#nextTryMs = now + RETRY_SOON_MS;
  }

  /** @returns whether it is another reason than before */
  noteError({ code }: SourceError, now: number): boolean {
    const isNew = this.#reason !== code;
    this.#reason = code;
    this.#nextTryMs = now + (RETRY_SOON.has(code) ? RETRY_SOON_MS : RETRY_LATER_MS);
    return isNew;
  }

  tryNow(now: number): void {
    this.#nextTryMs = now;
  }

  /** It was opened, or read. */
  noteSuccess(): void {
    this.#reason = undefined;
    this.#failingSinceMs = undefined;
  }

  /** The source in use failed, but it may come back within moments. */
  isWithinGrace({ code }: SourceError, now: number): boolean {
    this.#failingSinceMs ??= now;
    return TRANSIENT.has(code) && now - this.#failingSinceMs < GRACE_MS;
  }
}
