import { closeSync, existsSync, mkdirSync, openSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import {
  ATTACH,
  BpfRefusal,
  cgroupOfLink,
  closeFd,
  exchangeProgram,
  type LoadedObject,
  linkToCgroup,
  loadBpfObject,
  openPinned,
  pinBpf,
} from '../../native/bpf-object.ts';
import { lockFile } from '../../native/flock.ts';
import { SourceError } from '../source-error.ts';
import { FORMAT } from './layout.ts';
import { inodeOf } from './mounts.ts';

/** What stays when the process ends, in a folder of a cgroup's own: `/sys/fs/bpf/egressd/pairs-1-super-CGROUP/`. */
const FOLDER = 'egressd';
const MAPS = ['pairs', 'events'] as const;
const LINKS = { egress: ATTACH.egress, ingress: ATTACH.ingress } as const;
const PROGRAMS = {
  super: { egress: 'sent', ingress: 'received' },
  wire: { egress: 'sent_wire', ingress: 'received_wire' },
} as const;

/** What a super-packet counts as: one packet, as conntrack counts it, or those that it becomes on the wire. */
export type PacketUnit = keyof typeof PROGRAMS;

/** Attaching takes some milliseconds. */
const LOCK_PAUSE_MS = 20;
const MAX_LOCK_ATTEMPTS = 250;

/** How traffic is counted, and where what outlives the process is. */
export interface AttachOptions {
  /** The compiled programs. */
  readonly object: string;
  /** Folder of cgroup v2. */
  readonly cgroup: string;
  /** A BPF file system. */
  readonly bpfFolder: string;
  readonly maxPairs: number;
  readonly unit: PacketUnit;
}

/** Programs that count. */
export interface Attachment {
  /** Where the map of pairs is pinned. */
  readonly pairs: string;
  readonly events: string;
}

/**
 * Attaches the programs to the cgroup, once: maps and links are pinned, so a process that was killed goes on where it was, and one of
 * another version puts its programs in the place of those before it, without a packet between them.
 *
 *   /sys/fs/bpf/egressd/pairs-1-super-1/   pairs  events   egress  ingress
 *                       format-unit-cgroup   maps            links
 *
 * (A BPF file system allows no dots in names.)
 *
 * @throws SourceError where something is missing or refused
 */
export function attach(options: AttachOptions): Attachment {
  const { cgroup, bpfFolder, unit } = options;
  const number = inodeOf(cgroup);
  const parent = join(bpfFolder, FOLDER);
  const folder = folderOf(options);
  makeFolder(folder);
  withLock(parent, () => {
    const object = loadAndPin(options, folder);
    const descriptor = openSync(cgroup, 'r');
    try {
      for (const name of ['egress', 'ingress'] as const)
        placeLink(join(folder, name), object.programFd(PROGRAMS[unit][name]), descriptor, LINKS[name], number);
    } finally {
      closeSync(descriptor);
      object.close();
    }
    removeOthers(parent, folder, number);
  });
  return { pairs: join(folder, 'pairs'), events: join(folder, 'events') };
}

function folderOf({ cgroup, bpfFolder, unit }: Pick<AttachOptions, 'cgroup' | 'bpfFolder' | 'unit'>): string {
  return join(bpfFolder, FOLDER, `${FORMAT}-${unit}-${inodeOf(cgroup)}`);
}

/** Whether programs of this format are attached already. */
export function isAttached(options: Pick<AttachOptions, 'cgroup' | 'bpfFolder' | 'unit'>): boolean {
  return existsSync(join(folderOf(options), 'egress'));
}

/** Two processes that attach at once would count twice until the second saw the first's links. */
function withLock(folder: string, work: () => void): void {
  const descriptor = openSync(folder, 'r');
  try {
    for (let attempt = 0; !lockFile(descriptor); attempt++) {
      if (attempt === MAX_LOCK_ATTEMPTS) throw new SourceError('system', `another process holds the lock of ${folder}`);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_PAUSE_MS);
    }
    work();
  } finally {
    closeSync(descriptor);
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new SourceError(
      'mount',
      `cannot make ${folder}: mount the BPF file system so that it can be written (${error})`,
    );
  }
}

/** Maps that are pinned go on; those that are not are made anew. */
function loadAndPin(options: AttachOptions, folder: string): LoadedObject {
  const reuse: Record<string, number> = {};
  for (const name of MAPS) {
    const fd = openPinned(join(folder, name));
    if (fd !== undefined) reuse[name] = fd;
  }
  try {
    const { unit, object: path, maxPairs } = options;
    const maxEntries = reuse.pairs === undefined ? { pairs: maxPairs } : {};
    const object = loadBpfObject({ path, programs: Object.values(PROGRAMS[unit]), reuse, maxEntries });
    try {
      for (const name of MAPS) if (reuse[name] === undefined) pinBpf(object.mapFd(name), join(folder, name));
      return object;
    } catch (error) {
      object.close();
      throw error;
    }
  } finally {
    for (const fd of Object.values(reuse)) closeFd(fd);
  }
}

/** The pinned link gets our program; where there is none, or that of a cgroup that is gone, another is made. */
function placeLink(path: string, program: number, cgroup: number, attachType: number, number: number): void {
  const pinned = openPinned(path);
  if (pinned !== undefined) {
    try {
      if (cgroupOfLink(pinned) === number) {
        exchangeProgram(pinned, program);
        return;
      }
    } finally {
      closeFd(pinned);
    }
    unlinkSync(path);
  }
  const link = attachNew(program, cgroup, attachType);
  try {
    pinBpf(link, path);
  } finally {
    // Pinned, it stays; if not, it goes with this descriptor.
    closeFd(link);
  }
}

function attachNew(program: number, cgroup: number, attachType: number): number {
  try {
    return linkToCgroup(program, cgroup, attachType);
  } catch (error) {
    if (!(error instanceof BpfRefusal) || error.errno !== constants.errno.EPERM) throw error;
    throw new SourceError(
      'exclusive',
      'cannot attach to the cgroup: a program that allows no other beside it is attached there (bpftool cgroup show shows which)',
    );
  }
}

/** What another format or unit has left for the same cgroup. */
function removeOthers(parent: string, own: string, number: number): void {
  for (const name of readdirSync(parent))
    if (name.endsWith(`-${number}`) && join(parent, name) !== own) removePins(join(parent, name));
}

/** Links first: nothing is counted into maps that go. */
function removePins(folder: string): void {
  for (const name of [...Object.keys(LINKS), ...MAPS]) {
    const path = join(folder, name);
    if (existsSync(path)) unlinkSync(path);
  }
  rmdirSync(folder);
}

/**
 * Removes all that outlives collectors on this node: programs, maps and what they had counted. One that still runs keeps its own until
 * it ends.
 * @returns what was removed
 */
export function removeAttachments(bpfFolder: string): string[] {
  const parent = join(bpfFolder, FOLDER);
  if (!existsSync(parent)) return [];
  const folders = readdirSync(parent).map((name) => join(parent, name));
  folders.forEach(removePins);
  rmdirSync(parent);
  return folders;
}
