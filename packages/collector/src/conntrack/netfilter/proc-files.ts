import { closeSync, openSync, readSync } from 'node:fs';
import type { ConntrackSysctls } from '../source.ts';

/** Conntrack's sysctls: those of the network namespace of the thread that opens a file there. */
const SYSCTL_PATH = '/proc/sys/net/netfilter';

/** Other files of the network namespace of the calling thread. */
const NET_PATH = '/proc/thread-self/net';

/**
 * Descriptors of sysctls under `/proc/sys/net/netfilter`, and of files under `/proc/net`. The network namespace of the thread that
 * opens one decides, once, whose it is: the descriptor may be read in any thread, at any time. undefined: the kernel has no such file.
 */
export interface SysctlFiles {
  /** `nf_conntrack_acct`. */
  readonly accounting: number | undefined;
  /** `nf_conntrack_timestamp`. */
  readonly timestamps: number | undefined;
  /** `nf_conntrack_events`. */
  readonly events: number | undefined;
  /** `nf_conntrack_buckets` of the kernel's hash table: changes when the table is resized. */
  readonly buckets: number | undefined;
  /** `nf_conntrack_count` and `nf_conntrack_max`: entries of the table, and how many it may have. */
  readonly entries: number | undefined;
  readonly limit: number | undefined;
  /** `/proc/net/stat/nf_conntrack`, see `statistics.ts`. */
  readonly statistics: number | undefined;
  /** `/proc/net/netlink`, see `statistics.ts`. */
  readonly sockets: number | undefined;
}

/** Opens the files in the network namespace of the calling thread. */
export function openSysctlFiles(): SysctlFiles {
  return {
    accounting: openFile('nf_conntrack_acct'),
    timestamps: openFile('nf_conntrack_timestamp'),
    events: openFile('nf_conntrack_events'),
    buckets: openFile('nf_conntrack_buckets'),
    entries: openFile('nf_conntrack_count'),
    limit: openFile('nf_conntrack_max'),
    statistics: openFile('stat/nf_conntrack', NET_PATH),
    sockets: openFile('netlink', NET_PATH),
  };
}

/** Reads the sysctls anew. */
export function readSysctls(files: SysctlFiles): ConntrackSysctls {
  const accounting = readNumber(files.accounting);
  const timestamps = readNumber(files.timestamps);
  return {
    accounting: accounting === undefined ? undefined : accounting !== 0,
    timestamps: timestamps === undefined ? undefined : timestamps !== 0,
    events: readNumber(files.events),
  };
}

/** The number that a file holds now; undefined where there is none. */
export function readNumber(file: number | undefined): number | undefined {
  if (file === undefined) return undefined;
  const text = Buffer.alloc(32);
  try {
    const length = readSync(file, text, 0, text.length, 0);
    const value = Number.parseInt(text.toString('latin1', 0, length), 10);
    return Number.isNaN(value) ? undefined : value;
  } catch {
    return undefined;
  }
}

const PIECE_BYTES = 16 * 1024;

/** What a file holds now, '' where it cannot be read. Files under `/proc/net` come in pieces. */
export function readText(file: number | undefined): string {
  if (file === undefined) return '';
  const pieces: Buffer[] = [];
  try {
    for (let at = 0; ; ) {
      const piece = Buffer.alloc(PIECE_BYTES);
      const length = readSync(file, piece, 0, piece.length, at);
      if (length === 0) return Buffer.concat(pieces).toString('latin1');
      pieces.push(piece.subarray(0, length));
      at += length;
    }
  } catch {
    return '';
  }
}

/** Closes all of them. */
export function closeSysctlFiles(files: SysctlFiles): void {
  for (const file of Object.values(files)) if (file !== undefined) closeSync(file);
}

function openFile(name: string, folder = SYSCTL_PATH): number | undefined {
  try {
    return openSync(`${folder}/${name}`, 'r');
  } catch {
    return undefined;
  }
}
