/**
 * The flowtables of nf_tables: what they forward passes conntrack by, and conntrack's counters get it only where a flowtable has `counter`.
 *
 * Entries of conntrack have a status bit for it (`IPS_OFFLOAD`), which is not looked at: it is set with counters and without, and who may
 * read entries (`NET_ADMIN`) may ask for flowtables too.
 */
import { Protocol } from 'netlink/dist/constants.js';
import { getString, parseAttributes } from 'netlink/dist/structs.js';
import { DumpSocket } from '../node-addresses.ts';

/** `NFNL_SUBSYS_NFTABLES` (linux/netfilter/nfnetlink.h), and messages of it (linux/netfilter/nf_tables.h). */
const NFTABLES = 10 << 8;
const NFT_MSG_NEWFLOWTABLE = 22;
const NFT_MSG_GETFLOWTABLE = 23;
/** linux/netlink.h: `NLM_F_ROOT | NLM_F_MATCH`. */
const NLM_F_DUMP = 0x300;
/** `struct nfgenmsg`: family, version, and a resource of 16 bits. */
const FAMILY_HEADER_BYTES = 4;
/** `NFTA_FLOWTABLE_*`, `NFTA_FLOWTABLE_HOOK_DEVS`, `NFT_FLOWTABLE_COUNTER` (Linux 5.7) of linux/netfilter/nf_tables.h. */
const TABLE = 1;
const NAME = 2;
const HOOK = 3;
const USE = 4;
const FLAGS = 7;
const HOOK_DEVICES = 3;
const COUNTER = 2;
/** `NFPROTO_*` of linux/netfilter.h, as nft(8) writes them. */
const FAMILIES: Readonly<Record<number, string>> = { 1: 'inet', 2: 'ip', 10: 'ip6' };
const ANSWER_TIMEOUT_MS = 5000;

/** A flowtable as the kernel describes it. */
export interface Flowtable {
  /** As `inet/TABLE/NAME`. */
  readonly name: string;
  /** Links whose packets it takes. */
  readonly devices: number;
  /** Rules that put connections into it. */
  readonly rules: number;
  /** What it forwards is added to conntrack's counters. */
  readonly counter: boolean;
}

/** Those that forward something that conntrack does not count. */
export function uncountedFlowtables(flowtables: readonly Flowtable[]): string[] {
  return flowtables
    .filter(({ devices, rules, counter }) => devices > 0 && rules > 0 && !counter)
    .map(({ name }) => name);
}

/** A socket for the flowtables of the network namespace that it was opened in. */
export interface FlowtableSocket {
  /** undefined: the kernel does not say. Asking loads nf_tables where it is a module, as `nft list` does. */
  read(): Promise<Flowtable[] | undefined>;
  close(): void;
}

/** Opens a socket in the network namespace of the calling thread. */
export function openFlowtableSocket(): FlowtableSocket {
  const socket = new DumpSocket(Protocol.NETFILTER);
  const options = { flags: NLM_F_DUMP, timeout: ANSWER_TIMEOUT_MS };
  const dump = async () => {
    const [messages] = await socket.request(
      NFTABLES | NFT_MSG_GETFLOWTABLE,
      Buffer.alloc(FAMILY_HEADER_BYTES),
      options,
    );
    return messages
      .filter(({ type }) => type === (NFTABLES | NFT_MSG_NEWFLOWTABLE))
      .map(({ data }) => parseFlowtable(data));
  };
  return {
    async read() {
      const flowtables = await socket.whole(dump).catch((error: Error) => (hasNone(error) ? [] : undefined));
      return flowtables === 'interrupted' ? undefined : flowtables;
    },
    close: () => socket.close(),
  };
}

/** A kernel without nf_tables, or one from before flowtables, knows no such message. */
function hasNone({ message }: Error): boolean {
  return message.endsWith('EINVAL');
}

/** @param data of a NFT_MSG_NEWFLOWTABLE, from its family on */
export function parseFlowtable(data: Buffer): Flowtable {
  const family = data[0] ?? 0;
  const found = { table: '', name: '', devices: 0, rules: 0, flags: 0 };
  parseAttributes(data.subarray(FAMILY_HEADER_BYTES), ({ type, data: value }) => {
    if (type === TABLE) found.table = getString(value);
    if (type === NAME) found.name = getString(value);
    if (type === HOOK) found.devices = countDevices(value);
    if (type === USE) found.rules = value.readUInt32BE(0);
    if (type === FLAGS) found.flags = value.readUInt32BE(0);
  });
  const { table, name, devices, rules, flags } = found;
  return { name: `${FAMILIES[family] ?? family}/${table}/${name}`, devices, rules, counter: (flags & COUNTER) !== 0 };
}

function countDevices(hook: Buffer): number {
  let devices = 0;
  parseAttributes(hook, ({ type, data }) => {
    if (type === HOOK_DEVICES) parseAttributes(data, () => void devices++);
  });
  return devices;
}
