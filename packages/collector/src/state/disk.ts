import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** A longer file is not read: three million connections take half of it. */
const MAX_FILE_BYTES = 512 * 1024 * 1024;
/** Who talks to whom is nothing for other users of the node to read. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/** Files by name, in the state directory. What fails is thrown as the file system says it. */
export interface Disk {
  /** Names in a folder; none where it is missing. */
  list(folder: string): Promise<readonly string[]>;
  /** The whole file; undefined where there is none. */
  read(name: string): Promise<Uint8Array | undefined>;
  /** Writes a file. When this resolves it is on the disk: it outlives the machine. */
  writeThrough(name: string, parts: readonly Uint8Array[]): Promise<void>;
  /** Writes into a file that is there, from `at` on. When this resolves it outlives the process, perhaps not the machine. */
  append(name: string, at: number, parts: readonly Uint8Array[]): Promise<void>;
  /** Puts another file in the place of one, atomically: a kill leaves the one or the other. Outlives the process. */
  replace(name: string, parts: readonly Uint8Array[]): Promise<void>;
  /** Removes a file if it is there. */
  remove(name: string): Promise<void>;
  /** Gives a file another name; what had that name is gone. */
  putAside(name: string, as: string): Promise<void>;
}

/** The folder of `-state-dir`. */
export class FolderDisk implements Disk {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async list(folder: string): Promise<readonly string[]> {
    try {
      return await readdir(join(this.#folder, folder));
    } catch (error) {
      return unlessMissing(error, []);
    }
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    try {
      const path = join(this.#folder, name);
      const { size } = await stat(path);
      if (size > MAX_FILE_BYTES) throw new Error(`${path} has ${size} bytes, at most ${MAX_FILE_BYTES} are read`);
      return await readFile(path);
    } catch (error) {
      return unlessMissing(error, undefined);
    }
  }

  async writeThrough(name: string, parts: readonly Uint8Array[]): Promise<void> {
    const path = join(this.#folder, name);
    await mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE });
    await withFile(path, 'w', async (file) => {
      await writeAll(file, 0, parts);
      await file.datasync();
    });
    // Else its name may not outlive a power cut.
    await withFile(dirname(path), 'r', (folder) => folder.sync());
  }

  async append(name: string, at: number, parts: readonly Uint8Array[]): Promise<void> {
    await withFile(join(this.#folder, name), 'r+', (file) => writeAll(file, at, parts));
  }

  async replace(name: string, parts: readonly Uint8Array[]): Promise<void> {
    const path = join(this.#folder, name);
    const beside = `${path}.new`;
    await mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE });
    try {
      await withFile(beside, 'w', (file) => writeAll(file, 0, parts));
      await rename(beside, path);
    } catch (error) {
      // On a full disk what was begun takes room that others need.
      await rm(beside, { force: true }).catch(() => {});
      throw error;
    }
  }

  async remove(name: string): Promise<void> {
    await rm(join(this.#folder, name), { force: true });
  }

  async putAside(name: string, as: string): Promise<void> {
    await rename(join(this.#folder, name), join(this.#folder, as));
  }
}

async function withFile<T>(path: string, flags: string, work: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path, flags, FILE_MODE);
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

/** At a place of its own each: what a failure left behind the end is written over by the next attempt. */
async function writeAll(file: FileHandle, at: number, parts: readonly Uint8Array[]): Promise<void> {
  let position = at;
  for (const part of parts) {
    for (let written = 0; written < part.length; ) {
      const { bytesWritten } = await file.write(part, written, part.length - written, position + written);
      written += bytesWritten;
    }
    position += part.length;
  }
}

function unlessMissing<T>(error: unknown, value: T): T {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return value;
  throw error;
}
