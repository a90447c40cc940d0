import type { Row as ComparedRow } from '@egressd/world/daemons/comparison';
import type { Daemons, DaemonsOptions } from '@egressd/world/daemons/daemons';
import type { WorldKind } from '@egressd/world/network/kinds';
import type { World } from '@egressd/world/network/world';
import type { Random } from '@egressd/world/traffic/random';
import type { Clock } from './faults/clock.ts';
import type { Disks } from './faults/disks.ts';
import type { Link } from './faults/link.ts';
import type { FaultyReceiver } from './faults/receiver.ts';
import type { LiveTraffic, TrafficOptions } from './live-traffic.ts';

/** What a fault has at hand. */
export interface Context {
  readonly world: World;
  readonly daemons: Daemons;
  /** Drawn from the row's seed. */
  readonly random: Random;
  /** What moves through the world meanwhile. */
  readonly traffic: LiveTraffic;
  /** Between collectors and exporter. */
  readonly link: Link;
  /** Between exporter and database; only where the row asks for `receiver`. */
  readonly receiver: FaultyReceiver;
  /** The daemons' clock; only where the row asks for `clock`. */
  readonly clock: Clock;
  /** Of the state directories; only where the row asks for `disks`. */
  readonly disks: Disks;
  /** Waits, as long as nothing has failed meanwhile. */
  pause(ms: number): Promise<void>;
  /** Sum of a daemon's metric over all its series with these labels. @param daemon `exporter`, or a node */
  metric(daemon: string, name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  /** The same of all collectors. */
  collectors(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
}

/** How much may be missing, why, and how a user sees it. */
export interface Bound {
  readonly bytes: number;
  readonly packets: number;
  /** What is missing is known to the byte: it must be just this. */
  readonly whole?: boolean;
  /** In one line. */
  readonly reason: string;
  /** The metric that shows it, and what it says: more than zero where anything is missing. */
  readonly metric: string;
  readonly shown: number;
}

/** What must be true once everything is still; what is not set is as usual. */
export interface Expectation {
  /** Usually none: every difference must be zero. */
  readonly bound?: () => Promise<Bound>;
  /** What kernel and database have. Usually every pair of every node. */
  readonly compare?: () => Promise<ComparedRow[]>;
  /** What is wrong beside the numbers of the pairs; undefined: nothing. */
  readonly wrong?: () => Promise<string | undefined>;
}

/** One fault, under live traffic: a row of the table. */
export interface Row {
  readonly name: string;
  /** In one sentence. */
  readonly does: string;
  /** Runs in `npm test` too. */
  readonly quick?: boolean;
  /** Where it makes sense; not set: in every kind of world. */
  readonly worlds?: readonly WorldKind[];
  /**
   * It holds too where sockets are counted (`--source ebpf`). `direct`: with traffic between pods alone, since who was behind a Service is
   * not known of connections that end while no collector runs. Not set: its bound is of conntrack.
   */
  readonly ebpf?: 'all' | 'direct';
  readonly daemons?: Partial<DaemonsOptions>;
  readonly traffic?: TrafficOptions;
  /** What is to stand between or below the daemons. */
  readonly with?: Staging;
  /** What happens before any traffic: the daemons have just started. */
  readonly before?: (context: Context) => Promise<void>;
  /** @throws Unproven where the fault did not happen: a row that proves nothing fails */
  fault(context: Context): Promise<Expectation | undefined>;
}

/** What is set up before the daemons start. */
interface Staging {
  readonly receiver?: boolean;
  /** The receiver keeps samples of remote write itself, as databases do that drop what they have (`WriteLedger`). */
  readonly ledger?: boolean;
  /** It takes remote write 2.0, too. */
  readonly second?: boolean;
  readonly clock?: boolean;
  /** Whose clock it is: `exporter`, or a node. Not set: that of all daemons. */
  readonly clockOf?: string;
  /** Seconds by which that clock is off as the daemons start. */
  readonly clockOffBy?: number;
  readonly disks?: boolean;
  /** Sysctls of the nodes: path under /proc/sys/net -> value. */
  readonly sysctls?: Readonly<Record<string, number>>;
}

/** The fault did not happen, or not what it should have shown. */
class Unproven extends Error {
  override readonly name = 'Unproven';
}

/** @throws Unproven */
export function prove(condition: boolean, what: string): void {
  if (!condition) throw new Unproven(`this run proves nothing: ${what}`);
}
