import { readFileSync } from 'node:fs';

/** Kept for probes, scrapers, sinks, the Kubernetes API and files: connections of collectors never take the last descriptors. */
const RESERVED_FILES = 1024;

/** How many descriptors this process may have open: RLIMIT_NOFILE of getrlimit(2), from /proc/self/limits. Infinity: no limit. */
function openFilesLimit(): number {
  const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
}

/** Of those, what connections without an accepted stream may take: those that have just come, and those that never show whose they are. */
const UNTRUSTED_SHARE = 0.25;

/** How the descriptors are shared out. */
export interface FileShares {
  /** Connections without an accepted stream. */
  readonly untrusted: number;
  readonly streams: number;
}

/** @param limit of open files; where that is 1,024, as in many containers, 384 streams are left */
export function shareFiles(maxUntrusted: number, limit = openFilesLimit()): FileShares {
  const files = filesForConnections(limit);
  const untrusted = Math.min(maxUntrusted, Math.floor(files * UNTRUSTED_SHARE));
  return { untrusted, streams: files - untrusted };
}

/** Descriptors that connections to the stream port may take: at least half where there are few. */
export function filesForConnections(limit = openFilesLimit()): number {
  return Math.max(limit - RESERVED_FILES, Math.floor(limit / 2));
}
