// Reads a file out of a zip archive (APPNOTE.TXT of PKWARE, 4.3), so that no program has to be installed for it.
import { inflateRawSync } from 'node:zlib';

/** Ends the archive, without the comment that may follow: APPNOTE 4.3.16. */
const END_BYTES = 22;
const END_SIGNATURE = 0x06054b50;
const ENTRY_SIGNATURE = 0x02014b50;
/** Of a file's own header, before name and extra field: 4.3.7. */
const LOCAL_BYTES = 30;
const STORED = 0;
const DEFLATED = 8;

/**
 * The bytes of one file.
 * @param {Buffer} zip the whole archive, below 4 GiB
 * @param {string} name its path in the archive
 * @throws Error where it is not there, or kept in another way
 */
export function readZipped(zip, name) {
  let end = zip.length - END_BYTES;
  while (end >= 0 && zip.readUInt32LE(end) !== END_SIGNATURE) end--;
  if (end < 0) throw new Error('this is no zip archive: it has no end record');
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    if (zip.readUInt32LE(at) !== ENTRY_SIGNATURE) throw new Error('the directory of the archive is damaged');
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((offset) => zip.readUInt16LE(at + offset));
    if (zip.toString('utf8', at + 46, at + 46 + nameBytes) === name) return contents(zip, at);
    at += 46 + nameBytes + extraBytes + commentBytes;
  }
  throw new Error(`there is no ${name} in the archive`);
}

/** @param entry where the file's entry in the directory begins: 4.3.12 */
function contents(zip, entry) {
  const method = zip.readUInt16LE(entry + 10);
  const bytes = zip.readUInt32LE(entry + 20);
  const local = zip.readUInt32LE(entry + 42);
  const begin = local + LOCAL_BYTES + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
  const kept = zip.subarray(begin, begin + bytes);
  if (method === STORED) return Buffer.from(kept);
  if (method !== DEFLATED) throw new Error(`method ${method} of compression is not known`);
  return inflateRawSync(kept);
}
