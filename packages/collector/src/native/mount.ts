/** mount(2): an image holds no program that would do it. */
import { DataType } from 'ffi-rs';
import { errnoName, LIBC, native, nullPointer, openLibc } from './library.ts';

const { External, I32, I64, String: Text } = DataType;
const mountOf = native<number>(LIBC, 'mount', I32, [Text, Text, Text, I64, External]);

/** Mounts a file system of the kernel's own on a folder. @throws Error with the name of the errno */
export function mountKernelFiles(type: string, folder: string): void {
  openLibc();
  const { value, errnoCode } = mountOf('none', folder, type, 0, nullPointer());
  if (value !== 0) throw new Error(errnoName(errnoCode));
}
