import type { DaemonsOptions } from '@egressd/world/daemons/daemons';
import type { WorldKind } from '@egressd/world/network/kinds';
import type { World } from '@egressd/world/network/world';

/** Where an attack goes to. */
export interface Target {
  /** Address of the exporter, as pods of this world reach it. */
  readonly exporter: string;
  /** Addresses of the nodes, where collectors listen. */
  readonly nodes: readonly string[];
  /** A short run: less of it. */
  readonly quick: boolean;
}

/** What an attack did: the proof that there was one. */
export type Done = Readonly<Record<string, number>>;

/** What comes after an attack. */
export interface Aftermath {
  readonly world: World;
  /** Ends the exporter at once (SIGKILL) and starts it again. @returns what is wrong: it took too long; undefined: nothing */
  restartExporter(): Promise<string | undefined>;
  /** Waits until so many collectors have a stream. @returns false: they have not after a while */
  streams(count: number): Promise<boolean>;
}

/** One attack, beside honest traffic: a row of the table, in a file of its own. */
export interface Row {
  readonly name: string;
  /** In one sentence. */
  readonly does: string;
  /** Runs in `npm test` too. */
  readonly quick?: boolean;
  /** Not set: `routed`, with the stream in plain text. */
  readonly world?: WorldKind;
  /** How long it goes on, in a short run and in a whole one. */
  readonly seconds: { readonly quick: number; readonly full: number };
  /** The hosts that do it; not set: one pod. */
  readonly from?: readonly string[];
  readonly daemons?: Partial<DaemonsOptions>;
  /** Addresses that only the attack sends to, as a prefix of nft: what it moves there is not compared. */
  readonly sendsTo?: string;
  /** Sysctls of the nodes: path under /proc/sys/net -> value. */
  readonly sysctls?: Readonly<Record<string, number>>;
  /** Runs in a process of its own on each of its hosts, until the signal is aborted. @returns what it did */
  attack(target: Target, stop: AbortSignal): Promise<Done>;
  /** Whether that was an attack: sums over all hosts. */
  isProof(done: Done): boolean;
  /** What must be good after it. @returns what is wrong; undefined: nothing */
  after?(aftermath: Aftermath, quick: boolean): Promise<string | undefined>;
}
