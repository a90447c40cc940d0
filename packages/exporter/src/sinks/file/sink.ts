import { createLineSink } from '../items/line-sink.ts';
import type { SendResult, Sink } from '../sink.ts';
import { RotatingFile } from './rotating-file.ts';
import type { FileSinkSettings } from './settings.ts';

const MIB = 1024 * 1024;

/** What helps against an error of the file system. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: make room, or set maxSizeMB and maxFiles lower',
  EDQUOT: 'the quota is used up: raise it, or set maxSizeMB and maxFiles lower',
  EACCES: 'the exporter may not write there: check the owner and the permissions of the folder',
  EROFS: 'the file system is read-only: mount a volume there',
  ENOENT: 'its folder does not exist: make it, or mount a volume there',
  EISDIR: 'it is a folder: set path to a file in it',
  ENOTFILE: 'it is no file: use the stdout sink for pipes and devices',
};

/**
 * Writes JSON lines into a file that rotates. Accepted means on the disk: every request ends with fdatasync, because the collectors
 * forget what a sink has accepted. Whatever fails is tried again with the same bytes.
 */
export function createFileSink(name: string, { path, maxSizeMB, maxFiles, maxSeries }: FileSinkSettings): Sink {
  const file = new RotatingFile(path, maxSizeMB * MIB, maxFiles);
  return createLineSink({
    name,
    maxSeries,
    receiver: `file ${path}`,
    write: (lines) => write(file, path, lines),
    slow: `${path}: the disk is slow or stands still; nothing is lost while it waits`,
    close: () => file.close(),
  });
}

async function write(file: RotatingFile, path: string, lines: Uint8Array): Promise<SendResult> {
  try {
    await file.append(lines);
    return { outcome: 'ok', status: 'written' };
  } catch (error) {
    const { code = 'error', message } = error as NodeJS.ErrnoException;
    const said = `${path}: cannot be written (${code}): ${ADVICE[code] ?? message}`;
    return { outcome: 'retryable', status: code, maybeStored: false, message: said };
  }
}
