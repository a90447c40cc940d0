import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** A longer file is neither written nor read: 20,000 pods with a busy hour behind them take some 10 MiB. */
export const MAX_HISTORY_BYTES = 64 * 1024 * 1024;

/** What a file of another size is refused with. */
export class TooLong extends Error {
  override readonly name = 'TooLong';

  constructor(bytes: number) {
    super(`${bytes} bytes, at most ${MAX_HISTORY_BYTES} are kept`);
  }
}

/**
 * A file in the state directory that is either the old one or the new one, whenever the machine stops:
 *
 *   address-history        in use
 *   address-history.new    being written; takes the place of the other once it is on the disk
 *   address-history.bad    one that could not be used, put aside for whoever wants to know why; the last of them
 */
export class HistoryFile {
  readonly path: string;
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, 'address-history');
  }

  /** The whole file; undefined where there is none. @throws TooLong, or what the file system says */
  async read(): Promise<Buffer | undefined> {
    try {
      const { size } = await stat(this.path);
      if (size > MAX_HISTORY_BYTES) throw new TooLong(size);
      return await readFile(this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Replaces the file. @throws TooLong, or what the file system says: the file is then as it was */
  async write(bytes: Buffer): Promise<void> {
    if (bytes.length > MAX_HISTORY_BYTES) throw new TooLong(bytes.length);
    await mkdir(this.#folder, { recursive: true });
    const beside = `${this.path}.new`;
    try {
      await rm(beside, { force: true });
      await writeThrough(beside, bytes);
      await rename(beside, this.path);
    } catch (error) {
      // On a full disk what was begun takes room that others need.
      await rm(beside, { force: true }).catch(() => {});
      throw error;
    }
    await syncFolder(this.#folder);
  }

  /** Puts the file out of the way. @returns where it is now */
  async putAside(): Promise<string> {
    const aside = `${this.path}.bad`;
    await rename(this.path, aside);
    return aside;
  }
}

async function writeThrough(path: string, bytes: Buffer): Promise<void> {
  // Names of pods are nobody else's.
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Else the new name of a file may not outlive a power cut. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
