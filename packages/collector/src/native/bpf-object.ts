/** Our own BPF programs: an object file that clang compiled, loaded by libbpf, and links that outlive the process (bpf_link, pinned). */
import { constants } from 'node:os';
import { DataType, type JsExternal } from 'ffi-rs';
import { SourceError } from '../conntrack/source-error.ts';
import { LIBBPF } from './bpf.ts';
import { addressOf, closeFd, errnoName, native, nativeMemory, nullPointer, type Result } from './library.ts';

/** `enum bpf_attach_type` of linux/bpf.h. */
export const ATTACH = { ingress: 0, egress: 1 } as const;

/** `struct bpf_object_open_opts` of libbpf.h: its size first, and where the log's address, size and level are. */
const OPEN_OPTS = { bytes: 80, logBuffer: 56, logSize: 64, logLevel: 72 } as const;
/** The end of the verifier's log says what was refused; the kernel wants room for all of it. */
const LOG_BYTES = 1024 * 1024;
const LOG_LINES = 12;
/** `struct bpf_link_info` of linux/bpf.h: of a cgroup's link, the number of the cgroup. 0: that is gone. */
const LINK_INFO_BYTES = 64;
const INFO_CGROUP_ID = 16;

const { External, I32, U32, Boolean: Flag, U8Array, String: Text } = DataType;
const setPrint = native<JsExternal>(LIBBPF, 'libbpf_set_print', External, [External]);
const openFile = native<JsExternal>(LIBBPF, 'bpf_object__open_file', External, [Text, U8Array]);
const loadObject = native<number>(LIBBPF, 'bpf_object__load', I32, [External]);
const closeObject = native<undefined>(LIBBPF, 'bpf_object__close', DataType.Void, [External]);
const findMap = native<JsExternal>(LIBBPF, 'bpf_object__find_map_by_name', External, [External, Text]);
const setMaxEntries = native<number>(LIBBPF, 'bpf_map__set_max_entries', I32, [External, U32]);
const reuseFd = native<number>(LIBBPF, 'bpf_map__reuse_fd', I32, [External, I32]);
const mapFd = native<number>(LIBBPF, 'bpf_map__fd', I32, [External]);
const findProgram = native<JsExternal>(LIBBPF, 'bpf_object__find_program_by_name', External, [External, Text]);
const nextProgram = native<JsExternal>(LIBBPF, 'bpf_object__next_program', External, [External, External]);
const setAutoload = native<number>(LIBBPF, 'bpf_program__set_autoload', I32, [External, Flag]);
const programFd = native<number>(LIBBPF, 'bpf_program__fd', I32, [External]);
const pinObject = native<number>(LIBBPF, 'bpf_obj_pin', I32, [I32, Text]);
const getObject = native<number>(LIBBPF, 'bpf_obj_get', I32, [Text]);
const createLink = native<number>(LIBBPF, 'bpf_link_create', I32, [I32, I32, I32, External]);
const updateLink = native<number>(LIBBPF, 'bpf_link_update', I32, [I32, I32, External]);
const infoByFd = native<number>(LIBBPF, 'bpf_obj_get_info_by_fd', I32, [I32, U8Array, U8Array]);

/** What to load of an object file. */
export interface LoadOptions {
  readonly path: string;
  /** The programs that are wanted; others of the file are not loaded. */
  readonly programs: readonly string[];
  /** Maps that are there already, by name: descriptors. */
  readonly reuse: Readonly<Record<string, number>>;
  /** Sizes of maps that are made anew. */
  readonly maxEntries: Readonly<Record<string, number>>;
}

/** Programs and maps in the kernel, for as long as this is open, or something of it is pinned or linked. */
export interface LoadedObject {
  programFd(name: string): number;
  mapFd(name: string): number;
  close(): void;
}

/**
 * Loads programs into the kernel. libbpf must be open.
 * @throws BpfRefusal with the kernel's reason, and the end of the verifier's log where it has refused a program
 */
export function loadBpfObject({ path, programs, reuse, maxEntries }: LoadOptions): LoadedObject {
  // It would write to stderr: what it has to say is in the log below.
  setPrint(nullPointer());
  const log = nativeMemory(LOG_BYTES);
  try {
    const object = known(openFile(path, openOptions(log.address)), `open the BPF object ${path}`);
    try {
      const mapOf = (name: string) => known(findMap(object, name), `find the map ${name}`);
      for (const [name, fd] of Object.entries(reuse)) check(reuseFd(mapOf(name), fd), `reuse map ${name}`);
      for (const [name, entries] of Object.entries(maxEntries))
        check(setMaxEntries(mapOf(name), entries), `size map ${name}`);
      selectPrograms(object, programs);
      check(loadObject(object), 'load a BPF program', () => lastLines(log.bytes));
    } catch (error) {
      closeObject(object);
      throw error;
    }
    return {
      programFd: (name) => programFd(findProgram(object, name).value).value,
      mapFd: (name) => mapFd(findMap(object, name).value).value,
      close: () => void closeObject(object),
    };
  } finally {
    log.free();
  }
}

function openOptions(logAddress: number): Buffer {
  const options = Buffer.alloc(OPEN_OPTS.bytes);
  options.writeBigUInt64LE(BigInt(OPEN_OPTS.bytes));
  options.writeBigUInt64LE(BigInt(logAddress), OPEN_OPTS.logBuffer);
  options.writeBigUInt64LE(BigInt(LOG_BYTES), OPEN_OPTS.logSize);
  return options;
}

function selectPrograms(object: JsExternal, wanted: readonly string[]): void {
  const chosen = new Set(wanted.map((name) => addressOf(known(findProgram(object, name), `find the program ${name}`))));
  for (let program = nextProgram(object, nullPointer()).value; addressOf(program) !== 0; ) {
    setAutoload(program, chosen.has(addressOf(program)));
    program = nextProgram(object, program).value;
  }
}

/** The last lines of a text that ends with a zero. */
function lastLines(bytes: Buffer): string {
  const text = bytes.toString('latin1', 0, Math.max(0, bytes.indexOf(0)));
  return text.trim().split('\n').slice(-LOG_LINES).join('\n');
}

/** The kernel refused something of BPF. */
export class BpfRefusal extends SourceError {
  /** Of the kernel. */
  readonly errno: number;

  /** @param log of the verifier, '' where it has none */
  constructor(what: string, errno: number, log = '') {
    const denied = errno === constants.errno.EPERM || errno === constants.errno.EACCES;
    const reason = log === '' ? '' : `; the verifier's last lines:\n${log}`;
    super(denied && log === '' ? 'permission' : 'system', `cannot ${what}: ${errnoName(errno)}${reason}`);
    this.errno = errno;
  }
}

function known({ value, errnoCode }: Result<JsExternal>, what: string): JsExternal {
  if (addressOf(value) === 0) throw new BpfRefusal(what, errnoCode);
  return value;
}

function check({ value }: { value: number }, what: string, log: () => string = () => ''): number {
  if (value < 0) throw new BpfRefusal(what, -value, log());
  return value;
}

/** Pins what a descriptor is of (a map, a link) at a path of a BPF file system: it stays until it is unlinked. */
export function pinBpf(fd: number, path: string): void {
  check(pinObject(fd, path), `pin at ${path}`);
}

/** Opens what is pinned at a path, for writing too; undefined where nothing is. */
export function openPinned(path: string): number | undefined {
  const { value } = getObject(path);
  if (value === -constants.errno.ENOENT) return undefined;
  return check({ value }, `open what is pinned at ${path}`);
}

/** Attaches a program to a cgroup, beside those that are there. @returns the link's descriptor: with its last one the link goes */
export function linkToCgroup(program: number, cgroup: number, attach: number): number {
  return check(createLink(program, cgroup, attach, nullPointer()), 'attach to the cgroup');
}

/** Puts another program in the place of a link's: no packet passes between them. */
export function exchangeProgram(link: number, program: number): void {
  check(updateLink(link, program, nullPointer()), "exchange a link's program");
}

/** The number of the cgroup that a link is attached to; 0: that is gone. */
export function cgroupOfLink(link: number): number {
  const info = Buffer.alloc(LINK_INFO_BYTES);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(LINK_INFO_BYTES);
  check(infoByFd(link, info, length), 'read what a link is attached to');
  return Number(info.readBigUInt64LE(INFO_CGROUP_ID));
}

export { closeFd };
