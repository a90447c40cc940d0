import { gzipSync } from 'node:zlib';

/** A file of an initramfs. */
export interface ArchiveFile {
  /** Without a leading slash. */
  readonly path: string;
  readonly data: Uint8Array;
}

const FOLDER = 0o040755;
const PROGRAM = 0o100755;
const TRAILER = 'TRAILER!!!';

/**
 * A gzipped cpio archive in the "newc" format, which the kernel unpacks as its first root file system:
 * https://docs.kernel.org/driver-api/early-userspace/buffer-format.html
 */
export function initramfs(files: readonly ArchiveFile[]): Buffer {
  const none = new Uint8Array();
  const folders = foldersOf(files).map((path, i) => record(path, FOLDER, none, i + 1));
  const programs = files.map(({ path, data }, i) => record(path, PROGRAM, data, folders.length + i + 1));
  return gzipSync(Buffer.concat([...folders, ...programs, record(TRAILER, 0, none, 0)]));
}

/** Every folder that the files are in, outer ones first. */
function foldersOf(files: readonly ArchiveFile[]): string[] {
  const parts = files.map(({ path }) => path.split('/').slice(0, -1));
  return [...new Set(parts.flatMap((names) => names.map((_, i) => names.slice(0, i + 1).join('/'))))];
}

function record(path: string, mode: number, data: Uint8Array, inode: number): Buffer {
  const name = Buffer.from(`${path}\0`);
  // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
  const fields = [inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length, 0];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
  return Buffer.concat([padded(Buffer.concat([header, name])), padded(data)]);
}

/** Headers and data begin at multiples of four. */
function padded(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
