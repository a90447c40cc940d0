import { type FileHandle, mkdir, open, opendir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { checkOwnFolder, createOwnFile, openOwnFile } from '@egressd/daemon/own-file';

/** A longer file is not read: three million connections take half of it. */
const MAX_FILE_BYTES = 512 * 1024 * 1024;
/** More names of a folder are not looked at: many times the batches of a day without exporter. */
const MAX_ENTRIES = 100_000;
/** Who talks to whom is nothing for other users of the node to read. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/**
 * Files by name, in the state directory. What fails is thrown as the file system says it; what is no file of this program, such as a link
 * or a FIFO, as NotOwnFileError.
 */
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
      const path = join(this.#folder, folder);
      await checkOwnFolder(path);
      const names: string[] = [];
      for await (const { name } of await opendir(path)) if (names.push(name) >= MAX_ENTRIES) break;
      return names;
    } catch (error) {
      return unlessMissing(error, []);
    }
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    try {
      const path = join(this.#folder, name);
      return await withFile(openOwnFile(path, 'read'), async (file) => {
        const { size } = await file.stat();
        if (size > MAX_FILE_BYTES) throw new Error(`${path} has ${size} bytes, at most ${MAX_FILE_BYTES} are read`);
        return await file.readFile();
      });
    } catch (error) {
      return unlessMissing(error, undefined);
    }
  }

  async writeThrough(name: string, parts: readonly Uint8Array[]): Promise<void> {
    const path = join(this.#folder, name);
    await this.#makeFolderOf(name);
    await withFile(createOwnFile(path, FILE_MODE), async (file) => {
      await writeAll(file, 0, parts);
      await file.datasync();
    });
    // Else its name may not outlive a power cut.
    await withFile(open(dirname(path), 'r'), (folder) => folder.sync());
  }

  async append(name: string, at: number, parts: readonly Uint8Array[]): Promise<void> {
    await withFile(openOwnFile(join(this.#folder, name), 'change'), (file) => writeAll(file, at, parts));
  }

  async replace(name: string, parts: readonly Uint8Array[]): Promise<void> {
    const path = join(this.#folder, name);
    const beside = `${path}.new`;
    await this.#makeFolderOf(name);
    try {
      await withFile(createOwnFile(beside, FILE_MODE), (file) => writeAll(file, 0, parts));
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

  /** The folder of `-state-dir` itself may be a link: who starts the collector says where it is. */
  async #makeFolderOf(name: string): Promise<void> {
    const path = join(this.#folder, dirname(name));
    await mkdir(path, { recursive: true, mode: FOLDER_MODE });
    if (dirname(name) !== '.') await checkOwnFolder(path);
  }
}

async function withFile<T>(opened: Promise<FileHandle>, work: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await opened;
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
