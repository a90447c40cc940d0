import { createLineSink } from '../items/line-sink.ts';
import type { SendResult, Sink } from '../sink.ts';
import { RotatingFile } from './rotating-file.ts';
import type { FileSinkSettings } from './settings.ts';

const MIB = 1024 * 1024;

/** Advice by file system error. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: make room, or set maxSizeMB and maxFiles lower',
  EDQUOT: 'the quota is used up: raise it, or set maxSizeMB and maxFiles lower',
  EACCES: 'no permission to write there: check the owner and the permissions of the folder',
  EROFS: 'the file system is read-only: mount a volume there',
  ENOENT: 'its folder does not exist: create it, or mount a volume there',
  EISDIR: 'it is a folder: set path to a file in it',
  ENOTFILE: 'not a regular file: use the stdout sink for pipes and devices',
};

/**
 * Writes JSON lines into a rotating file. Accepted means on the disk: every request ends with fdatasync, because the collectors
 * delete what every sink has accepted. Any failure is retried with the same bytes.
 */
export function createFileSink(
  name: string,
  { path, maxSizeMB, maxFiles, maxSeries, ...labels }: FileSinkSettings,
): Sink {
  const file = new RotatingFile(path, maxSizeMB * MIB, maxFiles);
  return createLineSink({
    name,
    maxSeries,
    labels,
    receiverId: `file ${path}`,
    write: (lines) => write(file, path, lines),
    timeoutMessage: `${path}: the disk is slow or hangs; nothing is lost while the sink waits`,
    close: () => file.close(),
  });
}

async function write(file: RotatingFile, path: string, lines: Uint8Array): Promise<SendResult> {
  try {
    await file.append(lines);
    return { outcome: 'ok', status: 'written' };
  } catch (error) {
    const { code = 'error', message } = error as NodeJS.ErrnoException;
    const text = `${path}: cannot be written (${code}): ${ADVICE[code] ?? message}`;
    return { outcome: 'retryable', status: code, maybeStored: false, message: text };
  }
}
