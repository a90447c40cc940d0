import {
  address,
  boolean,
  choice,
  duration,
  integer,
  level,
  list,
  optionalBoolean,
  optionalChoice,
  optionalText,
  port,
} from '@egressd/daemon/flag-kinds';
import { defineFlags, type Environment, type ParsedFlags, parseFlags, type Values } from '@egressd/daemon/flags';

/** A read takes most of a second on a full table; an hour is longer than a figure may be late. */
const READ_INTERVAL = { min: 100, max: 3_600_000 };
const CLEANUP_INTERVAL = { min: 1000, max: 86_400_000 };
/** As long as an uninstall may take. */
const CLEANUP_WAIT = { min: 0, max: 3_600_000 };
/** The kernel's memory is taken at once: at the upper bound some 190 MB. */
const EBPF_PAIRS = { min: 64, max: 1024 * 1024 };
/** A pair takes about 100 bytes: at the upper bound some 1.6 GB. */
const MAX_PAIRS = { min: 1024, max: 16 * 1024 * 1024 };

/** Zones have 16 bits (`CTA_ZONE`). */
const MAX_ZONE = 65_535;

/** The collector's flags: names and defaults are an interface. */
export const COLLECTOR_FLAGS = defineFlags({
  'log-level': level('info', 'Least severe lines to log: debug, info, warn or error.'),
  'read-interval': duration(5000, READ_INTERVAL, "Time between two reads of the node's conntrack entries."),
  'cleanup-interval': duration(120_000, CLEANUP_INTERVAL, 'How often ended state is dropped.'),
  'http-listen-port': port(8008, 'Port of /healthz, /readyz and /metrics; 0 takes a free one.'),
  'ct-mode': optionalChoice(
    ['netfilter', 'cilium', 'ebpf'],
    "Where connections are read: netfilter, cilium, or ebpf (our own programs count at the node's sockets); empty: Cilium's maps where Cilium is at work and they can be read, else ebpf where something else than netfilter carries the traffic of pods, else netfilter.",
  ),
  'ebpf-packets': choice(
    ['super', 'wire'],
    'super',
    'With ebpf, what a segmentation super-packet counts as: super (one packet, as conntrack counts it) or wire (the packets that it becomes, with their headers).',
  ),
  'ebpf-max-pairs': integer(
    65_536,
    EBPF_PAIRS,
    'With ebpf, most pairs of addresses that the kernel holds, about 180 bytes each; what finds no room is counted as such. Takes effect where there is no map yet: see -cleanup.',
  ),
  'ebpf-cgroup': optionalText(
    'directory',
    'With ebpf, the cgroup (v2) whose sockets are counted; not set: the root of the host.',
  ),
  'ebpf-bpf-fs': optionalText(
    'directory',
    'With ebpf, the BPF file system that keeps programs and counts; not set: /sys/fs/bpf.',
  ),
  'conntrack-events': choice(
    ['on', 'off', 'lossless'],
    'on',
    "Read the kernel's DESTROY event of each connection that ends, so that what it moved since the last read counts too: on, off or lossless. lossless: the kernel keeps an ended connection until its event was delivered; where the collector stalls, these fill the node's table until a watchdog steps in.",
  ),
  'conntrack-zones': list(
    [],
    'Count the entries of these conntrack zones only, numbers separated by commas; empty: of all. The same packets in several zones count once in any case.',
  ),
  'host-pid': boolean(false, "Read the host's network namespace through process 1 although the pod has its own."),
  'exclude-namespaces': list(['kube-system'], 'Pods in these namespaces, separated by commas, are not reported.'),
  'group-public-ips': boolean(false, 'Count every public destination as 0.0.0.0 (IPv6: ::).'),
  'send-traffic-delta': optionalBoolean(
    'Report what was transferred since the last report (true) or growing counters (false); not set: what suits each sink.',
  ),
  'max-pairs': integer(
    262_144,
    MAX_PAIRS,
    'Cardinality limit: most pairs of addresses held until they are delivered; beyond it public addresses are merged, then all.',
  ),
  'exporter-address': address('127.0.0.1:6062', 'Where to stream to, HOST:PORT.'),
  'tls-cert-file': optionalText(
    'file',
    "PEM file with the stream's certificate for this collector; read again when it changes.",
  ),
  'tls-key-file': optionalText('file', 'PEM file with the key of that certificate.'),
  'tls-ca-file': optionalText('file', "PEM file with the authority that signs the exporter's certificate."),
  insecure: boolean(false, 'Allow a plain-text stream to an exporter beyond loopback.'),
  'dump-ct': boolean(false, 'Print the conntrack entries to stdout and exit.'),
  'log-entries': boolean(false, 'Log raw entries at level debug.'),
  init: boolean(
    false,
    'Run once as the init container: enable the sysctls nf_conntrack_acct, nf_conntrack_timestamp and nf_conntrack_events, and exit.',
  ),
  'init-cgroupv2': boolean(false, 'With -init: mount cgroup v2 where it is not.'),
  'state-dir': optionalText(
    'directory',
    'Keeps across restarts what was counted and what the exporter has not committed; not set: a restart starts from a baseline.',
  ),
  'cilium-clock-source': choice(
    ['jiffies', 'ktime'],
    'jiffies',
    "Unit of a Cilium entry's lifetime: ktime in any case, or jiffies unless the entries show that it is ktime.",
  ),
  'ebpf-dns-tracer-enabled': boolean(true, 'Learn names of destinations from DNS answers. Not used yet.'),
  'ebpf-dns-tracer-queue-size': integer(1000, { min: 1, max: 1_000_000 }, 'DNS answers that may wait. Not used yet.'),
  kubeconfig: optionalText('file', 'Accepted and not needed: the collector does not talk to Kubernetes.'),
  cleanup: boolean(
    false,
    'Remove what counting by eBPF leaves on the node for the next collector (programs, maps, counts), and exit.',
  ),
  'cleanup-wait': duration(0, CLEANUP_WAIT, 'With -cleanup: how long to stay afterwards.'),
  'config-check': boolean(false, 'Say whether the flags are right, and exit.'),
  version: boolean(false, 'Print the version and exit.'),
});

/** The values of the collector's flags. Durations are milliseconds. */
export type CollectorFlags = Values<typeof COLLECTOR_FLAGS>;

/** Reads the collector's command line and environment. */
export function parseCollectorFlags(argv: readonly string[], environment: Environment): ParsedFlags<CollectorFlags> {
  return parseFlags(COLLECTOR_FLAGS, argv, environment, checkTogether);
}

function checkTogether(flags: CollectorFlags): string[] {
  const mistakes: string[] = [];
  if ((flags.tlsCertFile === undefined) !== (flags.tlsKeyFile === undefined))
    mistakes.push('-tls-cert-file and -tls-key-file: only one is set, a certificate needs both');
  for (const zone of flags.conntrackZones)
    if (!/^\d{1,5}$/.test(zone) || Number(zone) > MAX_ZONE)
      mistakes.push(
        `-conntrack-zones: ${JSON.stringify(zone)} is no zone: numbers from 0 to ${MAX_ZONE}, separated by commas`,
      );
  if (flags.cleanupWait > 0 && !flags.cleanup) mistakes.push('-cleanup-wait: works only together with -cleanup');
  if (flags.initCgroupv2 && !flags.init) mistakes.push('-init-cgroupv2: works only together with -init');
  return mistakes;
}

/** One line for each flag that is accepted and does nothing, or not what an older release did. */
export function notices(flags: CollectorFlags): string[] {
  const lines: string[] = [];
  if (flags.kubeconfig !== undefined)
    lines.push('-kubeconfig is not needed: the collector does not talk to Kubernetes');
  if (
    (flags.ctMode === 'netfilter' || flags.ctMode === 'ebpf') &&
    flags.ciliumClockSource !== COLLECTOR_FLAGS['cilium-clock-source'].default
  )
    lines.push(`-cilium-clock-source: Cilium's maps are not read with -ct-mode=${flags.ctMode}`);
  if (flags.ebpfDnsTracerEnabled)
    lines.push('names from DNS answers come with a later release (-ebpf-dns-tracer-enabled=false silences this line)');
  return lines;
}
