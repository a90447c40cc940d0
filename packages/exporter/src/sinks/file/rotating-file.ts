import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Flows are sensitive: only the owner and its group may read them. */
const FILE_MODE = 0o640;
const LINE_END = 0x0a;

/** The path is not a regular file: a pipe, a device. */
class NotAFileError extends Error {
  override readonly name = 'NotAFileError';
  readonly code = 'ENOTFILE';
}

/** The file that is written now. */
interface Current {
  readonly handle: FileHandle;
  readonly inode: number;
  /** Where a failed write began that could not be truncated yet. */
  tornAt: number | undefined;
}

/**
 * A file of lines that rotates by size.
 *
 *   PATH      written now; what would make it larger than `maxBytes` starts a new one
 *   PATH.1    the newest of the full ones
 *   PATH.2    ...                            up to maxFiles - 1
 *
 * An append is in the file as a whole, on the disk (fdatasync), or not at all: what a failed write left behind is truncated
 * before anything else is written. A file that another program (logrotate) has moved or removed is closed, and a new one created.
 */
export class RotatingFile {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #maxFiles: number;
  #current: Current | undefined;

  constructor(path: string, maxBytes: number, maxFiles: number) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#maxFiles = maxFiles;
  }

  /** Appends lines. @throws an error of the file system, or NotAFileError; then none of them is in the file */
  async append(lines: Uint8Array): Promise<void> {
    let file = await this.#open();
    let { size } = await file.handle.stat();
    if (size > 0 && size + lines.length > this.#maxBytes) {
      await this.#rotate();
      file = await this.#open();
      ({ size } = await file.handle.stat());
    }
    file.tornAt = size;
    try {
      await file.handle.appendFile(lines);
      await file.handle.datasync();
      file.tornAt = undefined;
    } catch (error) {
      // Where this fails too it is done before the next lines.
      await truncateTorn(file).catch(() => {});
      throw error;
    }
  }

  async close(): Promise<void> {
    const handle = this.#current?.handle;
    this.#current = undefined;
    await handle?.close();
  }

  /** The file at the path, without what a failed write left in it. */
  async #open(): Promise<Current> {
    if (this.#current !== undefined && (await this.#inode()) !== this.#current.inode) await this.close();
    this.#current ??= await openFile(this.#path);
    await truncateTorn(this.#current);
    return this.#current;
  }

  async #inode(): Promise<number | undefined> {
    return stat(this.#path).then(
      ({ ino }) => ino,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw error;
      },
    );
  }

  /** Renames files to the next number, up to the first that is free. Where none is, the oldest is overwritten. */
  async #rotate(): Promise<void> {
    await this.close();
    if (this.#maxFiles === 1) return rm(this.#path);
    const nth = (n: number) => (n === 0 ? this.#path : `${this.#path}.${n}`);
    let free = 1;
    while (free < this.#maxFiles - 1 && (await exists(nth(free)))) free++;
    for (let n = free; n > 0; n--) await rename(nth(n - 1), nth(n));
  }
}

/** Truncates what a failed write left. */
async function truncateTorn(file: Current): Promise<void> {
  if (file.tornAt === undefined) return;
  await file.handle.truncate(file.tornAt);
  file.tornAt = undefined;
}

/** Opens a file for lines. After a crash in the middle of a line it appends the line's end, so that only that line is broken. */
async function openFile(path: string): Promise<Current> {
  const handle = await open(path, 'a+', FILE_MODE);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new NotAFileError(`${path} is not a regular file`);
    if (stats.size === 0) await syncFolder(dirname(path));
    else if (!(await endsLine(handle, stats.size))) await handle.appendFile('\n');
    return { handle, inode: stats.ino, tornAt: undefined };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function endsLine(handle: FileHandle, size: number): Promise<boolean> {
  const last = Buffer.alloc(1);
  await handle.read(last, 0, 1, size - 1);
  return last[0] === LINE_END;
}

/** A new file survives a power failure only once its folder is on the disk too. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
