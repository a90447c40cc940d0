/**
 * The shared libraries that are called (FFI), by names of each thread's own.
 *
 *   main thread   libc     libbpf     libnetfilter_conntrack      each name: a table of functions, filled as they are first called
 *   thread 1      libc 1   libbpf 1   libnetfilter_conntrack 1
 *
 * `ffi-rs` (1.3.7) keeps libraries and their functions in tables of the whole process without a lock: where one thread calls a function
 * for the first time while another calls any of the same library, the process may crash or hang. So every name is there before a second
 * thread is, and no thread uses another's.
 */
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';
import { Bug } from '@egressd/flow/bug';
import { open } from 'ffi-rs';

/** Their files, by the names of Debian's packages. */
export const LIBRARY_FILES = {
  libc: 'libc.so.6',
  libbpf: 'libbpf.so.1',
  libnetfilter_conntrack: 'libnetfilter_conntrack.so.3',
} as const;
export type LibraryName = keyof typeof LIBRARY_FILES;

/** Threads beside the main one that may call libraries at the same time. A collector has one; tests have some. */
const MAX_THREADS = 8;
/** Under which a new thread finds its number: 1 to `MAX_THREADS`. */
const NUMBER = 'egressd: number of the thread';

const ownNumber = isMainThread ? 0 : (getEnvironmentData(NUMBER) as number | undefined);
const freeNumbers = Array.from({ length: MAX_THREADS }, (_, i) => i + 1);
const opened = new Set<string>();

/** The name that this thread calls a library by. @throws Bug in a thread that was started without `takeThread` */
export function nameHere(library: LibraryName): string {
  if (ownNumber === undefined) throw new Bug('a thread that calls libraries was started without takeThread');
  return nameOf(library, ownNumber);
}

/** Opens a library for this thread, once. @throws what `ffi-rs` throws where it cannot be loaded */
export function openHere(library: LibraryName): void {
  if (opened.has(library)) return;
  if (isMainThread) openForThreads();
  open({ library: nameHere(library), path: LIBRARY_FILES[library] });
  opened.add(library);
}

/**
 * Takes a number for the thread that the caller starts next, before anything else does.
 * @returns what gives it back, once the thread has ended
 */
export function takeThread(): () => void {
  openForThreads();
  const number = freeNumbers.shift();
  if (number === undefined) throw new Bug(`more than ${MAX_THREADS} threads call libraries`);
  setEnvironmentData(NUMBER, number);
  return () => void freeNumbers.push(number);
}

let openedForThreads = false;

/** What cannot be loaded says so where it is needed. */
function openForThreads(): void {
  if (openedForThreads) return;
  openedForThreads = true;
  for (const [library, path] of Object.entries(LIBRARY_FILES) as [LibraryName, string][])
    for (let number = 0; number <= MAX_THREADS; number++)
      try {
        open({ library: nameOf(library, number), path });
      } catch {
        break;
      }
}

function nameOf(library: LibraryName, number: number): string {
  return number === 0 ? library : `${library} ${number}`;
}
