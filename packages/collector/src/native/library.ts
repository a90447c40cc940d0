/** What every call into a shared library needs (FFI): functions by name, memory, and the names of errnos. */
import { constants, endianness } from 'node:os';
import { createExternalBuffer, DataType, type JsExternal, load } from 'ffi-rs';
import { SourceError } from '../conntrack/source-error.ts';
import { LIBRARY_FILES, type LibraryName, nameHere, openHere } from './threads.ts';

export const LIBC = 'libc';

/** What `ffi-rs` gives for a call with `errno: true`. */
export interface Result<T> {
  readonly value: T;
  readonly errnoCode: number;
}

/** A function of a shared library, as one that takes its arguments and returns its result and errno. */
export function native<T>(name: LibraryName, funcName: string, retType: DataType, paramsType: DataType[]) {
  const library = nameHere(name);
  const call = { library, funcName, retType, paramsType, paramsValue: [] as unknown[], errno: true as const };
  return (...args: unknown[]): Result<T> => {
    call.paramsValue = args;
    return load(call) as unknown as Result<T>;
  };
}

/** The same in a thread of libuv's pool: for calls that take milliseconds. What they write to must stay until they return. */
export function nativeInThread<T>(name: LibraryName, funcName: string, retType: DataType, paramsType: DataType[]) {
  const library = nameHere(name);
  const call = { library, funcName, retType, paramsType, errno: true as const, runInNewThread: true as const };
  return (...args: unknown[]): Promise<Result<T>> =>
    load({ ...call, paramsValue: args }) as unknown as Promise<Result<T>>;
}

const { External, I32, I64, U8Array, Void, String: Text } = DataType;
const mallocOf = native<JsExternal>(LIBC, 'malloc', External, [I64]);
const freeOf = native<undefined>(LIBC, 'free', Void, [External]);
const memcpy = native<number>(LIBC, 'memcpy', I64, [External, External, I64]);
const close = native<number>(LIBC, 'close', I32, [I32]);
const clockGetres = native<number>(LIBC, 'clock_getres', I32, [I32, U8Array]);
const getenv = native<JsExternal>(LIBC, 'getenv', External, [Text]);

/** Memory that a library or the kernel writes to: it never moves. */
export interface NativeMemory {
  readonly at: JsExternal;
  /** The number of the pointer. */
  readonly address: number;
  readonly bytes: Buffer;
  free(): void;
}

/** Takes memory, all zero. libc must be open. */
export function nativeMemory(size: number): NativeMemory {
  const at = mallocOf(size).value;
  const bytes = createExternalBuffer(at, size);
  bytes.fill(0);
  // memcpy returns where it copied to: the only way from here to the number of a pointer.
  return { at, address: memcpy(at, at, 0).value, bytes, free: () => void freeOf(at) };
}

/** The number of a pointer; 0 where it points to nothing. libc must be open. */
export function addressOf(pointer: JsExternal): number {
  return memcpy(pointer, pointer, 0).value;
}

/** A pointer to nothing. libc must be open. */
export function nullPointer(): JsExternal {
  return getenv('').value;
}

/** `CLOCK_MONOTONIC_COARSE` of linux/time.h: it goes forward with every tick of the kernel. */
const CLOCK_MONOTONIC_COARSE = 6;

/** How long a tick (jiffy) of this kernel is, ns: containers see no file that says it. libc must be open. */
export function tickNanoseconds(): number {
  const timespec = Buffer.alloc(16);
  clockGetres(CLOCK_MONOTONIC_COARSE, timespec);
  return Number(timespec.readBigInt64LE(8));
}

/** Closes a descriptor that a library has opened: Node.js warns of those that it did not open itself. */
export function closeFd(fd: number): void {
  close(fd);
}

/** Opens libc once: before the first call into it. */
export function openLibc(): void {
  openHere(LIBC);
}

/**
 * Opens libc, and a library of a Debian package.
 * @throws SourceError where it is not installed, or the machine is not little-endian, as the decoders expect
 */
export function openPackaged(library: LibraryName, debianPackage: string): void {
  if (endianness() !== 'LE')
    throw new SourceError('unsupported', 'connections are read on little-endian machines only');
  openLibc();
  try {
    openHere(library);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new SourceError(
      'library',
      `cannot load ${LIBRARY_FILES[library]}: install the package ${debianPackage} (${why})`,
    );
  }
}

/** The name of an errno, such as `EPERM`. */
export function errnoName(errno: number): string {
  const [name = `errno ${errno}`] = Object.entries(constants.errno).find(([, value]) => value === errno) ?? [];
  return name;
}
