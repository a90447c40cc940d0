import { closeSync, openSync, readSync } from 'node:fs';
import type { SourceSwitches } from '../source.ts';

/** Where a network namespace's switches are: those of the namespace of the thread that opens a file there. */
export const SWITCHES_PATH = '/proc/sys/net/netfilter';

/** Where other files of the namespace of the calling thread are. */
const NET_PATH = '/proc/thread-self/net';

/**
 * Descriptors of files under `/proc/sys/net/netfilter` and `/proc/net`. The thread that opens one decides by its network namespace whose switch
 * it is, once: the descriptor may be read anywhere, at any time. undefined: the kernel has no such file.
 */
export interface SwitchFiles {
  readonly accounting: number | undefined;
  readonly timestamps: number | undefined;
  readonly events: number | undefined;
  /** Buckets of the kernel's hash table: changes when the table is resized. */
  readonly buckets: number | undefined;
  /** Entries of the table, and how many it may have. */
  readonly entries: number | undefined;
  readonly limit: number | undefined;
  /** What the kernel counts of the table, and of netlink sockets: see `table.ts`. */
  readonly statistics: number | undefined;
  readonly sockets: number | undefined;
}

/** Opens the files in the network namespace of the calling thread. */
export function openSwitchFiles(): SwitchFiles {
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

/** Reads the switches anew. */
export function readSwitches(files: SwitchFiles): SourceSwitches {
  const accounting = readNumber(files.accounting);
  const timestamps = readNumber(files.timestamps);
  return {
    accounting: accounting === undefined ? undefined : accounting !== 0,
    timestamps: timestamps === undefined ? undefined : timestamps !== 0,
    events: readNumber(files.events),
  };
}

/** The number that a file holds now. */
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

const PIECE_BYTES = 16 * 1024;

export function closeSwitchFiles(files: SwitchFiles): void {
  for (const file of Object.values(files)) if (file !== undefined) closeSync(file);
}

function openFile(name: string, folder = SWITCHES_PATH): number | undefined {
  try {
    return openSync(`${folder}/${name}`, 'r');
  } catch {
    return undefined;
  }
}
