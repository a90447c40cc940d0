import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createOwnFile, openOwnFile } from '@egressd/daemon/own-file';

/** A file is longer than it may be. */
class TooLong extends Error {
  override readonly name = 'TooLong';

  constructor(bytes: number, most: number) {
    super(`${bytes} bytes, the maximum is ${most}`);
  }
}

/**
 * A file in the state directory that is replaced atomically: either the old or the new one, whenever the machine stops.
 *
 *   NAME        in use
 *   NAME.new    being written; replaces the other once it is on the disk
 *   NAME.bad    the last one that could not be used, put aside for an operator to look at
 */
export class StateFile {
  readonly path: string;
  readonly #folder: string;
  readonly #maxBytes: number;

  /** @param maxBytes a longer file is neither written nor read */
  constructor(folder: string, name: string, maxBytes: number) {
    this.#folder = folder;
    this.#maxBytes = maxBytes;
    this.path = join(folder, name);
  }

  /** The whole file; undefined where there is none. @throws TooLong, NotOwnFileError, or an error of the file system */
  async read(): Promise<Buffer | undefined> {
    try {
      await using file = await openOwnFile(this.path, 'read');
      const { size } = await file.stat();
      if (size > this.#maxBytes) throw new TooLong(size, this.#maxBytes);
      return await file.readFile();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Replaces the file. @throws TooLong, or an error of the file system: the file is then as it was */
  async write(...pieces: readonly Uint8Array[]): Promise<void> {
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (bytes > this.#maxBytes) throw new TooLong(bytes, this.#maxBytes);
    await mkdir(this.#folder, { recursive: true });
    const beside = `${this.path}.new`;
    try {
      await writeThrough(beside, pieces);
      await rename(beside, this.path);
    } catch (error) {
      // On a full disk a partial file takes the room that other files need.
      await rm(beside, { force: true }).catch(() => {});
      throw error;
    }
    await syncFolder(this.#folder);
  }

  /** Removes the file, for good. @throws an error of the file system: it may still be there, or come back */
  async remove(): Promise<void> {
    await rm(`${this.path}.new`, { force: true });
    await rm(this.path, { force: true });
    await syncFolder(this.#folder).catch((error: NodeJS.ErrnoException) => {
      // Without a folder there is no file in it.
      if (error.code !== 'ENOENT') throw error;
    });
  }

  /** Moves the file out of the way. @returns where it is now, or why it could not be moved: for the log */
  async putAside(): Promise<string> {
    const aside = `${this.path}.bad`;
    try {
      await rename(this.path, aside);
      return aside;
    } catch (error) {
      return `failed: ${(error as Error).message}`;
    }
  }
}

async function writeThrough(path: string, pieces: readonly Uint8Array[]): Promise<void> {
  // Names of pods are for no other user to read.
  const file = await createOwnFile(path, 0o600);
  try {
    for (const piece of pieces) await file.writeFile(piece);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Without it the new name of a file may be lost in a power cut. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
