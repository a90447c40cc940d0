/**
 * The import map: which room may import which. Data flows one way, and so do imports. A room is a folder or a file under
 * `src`; the longest name that fits counts. `types` are rooms it may import types of: what it is fed, from the room before it.
 */
export interface Room {
  readonly packages?: readonly string[];
  readonly rooms?: readonly string[];
  readonly types?: readonly string[];
  /** No clock, no log, no metrics, no I/O. */
  readonly pure?: true;
}

const EVERY_ROOM = ['*'];
/** Settings of the sinks, which the configuration has to know too. */
const SINK_SETTINGS = [
  'sinks/settings',
  'sinks/http/settings',
  'sinks/label-sets/settings',
  'sinks/remote-write/settings',
  'sinks/otlp/settings',
  'sinks/http-post/settings',
  'sinks/file/settings',
  'sinks/stdout/settings',
];

export const IMPORT_MAP: Readonly<Record<string, Readonly<Record<string, Room>>>> = {
  flow: { '': { packages: ['@bufbuild/protobuf'], rooms: EVERY_ROOM, pure: true } },
  daemon: {
    '': { packages: ['prom-client', '@grpc/grpc-js'], rooms: EVERY_ROOM },
  },
  collector: {
    'conntrack/record': { pure: true },
    'word-table': { pure: true },
    flags: { packages: ['@egressd/daemon'] },
    'conntrack/source-error': {},
    'conntrack/source': { packages: ['@egressd/flow'], types: ['conntrack/record'] },
    'conntrack/node-addresses': { packages: ['netlink', '@egressd/flow'] },
    'conntrack/time-slice': {},
    'conntrack/map-reader': { rooms: ['native', 'conntrack/time-slice'] },
    'conntrack/host-addresses': { rooms: ['native', 'conntrack/node-addresses'] },
    native: { packages: ['ffi-rs'], rooms: ['conntrack/source-error'] },
    'conntrack/cilium/layout': { pure: true },
    'conntrack/cilium/clock': { pure: true },
    'conntrack/cilium/btf': { pure: true },
    'conntrack/cilium/endpoints': { rooms: ['word-table'], pure: true },
    'conntrack/cilium/decode': {
      rooms: ['conntrack/record', 'conntrack/cilium/layout', 'conntrack/cilium/endpoints'],
      types: ['conntrack/cilium/clock'],
      pure: true,
    },
    'conntrack/cilium': {
      packages: ['@egressd/flow'],
      rooms: [
        'native',
        'conntrack/record',
        'conntrack/source',
        'conntrack/source-error',
        'conntrack/node-addresses',
        'conntrack/host-addresses',
        'conntrack/map-reader',
        'conntrack/time-slice',
        'conntrack/cilium/layout',
        'conntrack/cilium/clock',
        'conntrack/cilium/btf',
        'conntrack/cilium/endpoints',
        'conntrack/cilium/decode',
      ],
    },
    'conntrack/ebpf/layout': { pure: true },
    'conntrack/ebpf/decode': { rooms: ['conntrack/record', 'conntrack/ebpf/layout'], pure: true },
    'conntrack/ebpf/record-words': {
      rooms: ['conntrack/record'],
      types: ['conntrack/ebpf/nat-connections'],
      pure: true,
    },
    'conntrack/ebpf/alias': { types: ['conntrack/ebpf/nat-connections'], pure: true },
    'conntrack/ebpf/nat-connections': { rooms: ['word-table', 'conntrack/record'], pure: true },
    'conntrack/ebpf/watched-pairs': {
      rooms: ['word-table', 'conntrack/ebpf/decode'],
      types: ['conntrack/ebpf/alias'],
      pure: true,
    },
    'conntrack/ebpf/forwarded': {
      rooms: ['conntrack/record', 'conntrack/ebpf/record-words'],
      types: ['conntrack/ebpf/nat-connections'],
      pure: true,
    },
    'conntrack/ebpf/past-records': {
      rooms: ['conntrack/record', 'conntrack/ebpf/record-words'],
      types: ['conntrack/ebpf/nat-connections'],
      pure: true,
    },
    'conntrack/ebpf/kept-entries': {
      rooms: ['conntrack/ebpf/layout'],
      types: ['conntrack/ebpf/decode'],
      pure: true,
    },
    'conntrack/ebpf/pair-records': { rooms: ['conntrack/record', 'conntrack/ebpf/decode'], pure: true },
    'conntrack/ebpf/translations': {
      rooms: [
        'conntrack/record',
        'conntrack/ebpf/alias',
        'conntrack/ebpf/decode',
        'conntrack/ebpf/forwarded',
        'conntrack/ebpf/nat-connections',
        'conntrack/ebpf/past-records',
        'conntrack/ebpf/record-words',
        'conntrack/ebpf/watched-pairs',
      ],
      pure: true,
    },
    'conntrack/ebpf': {
      packages: ['@egressd/flow'],
      rooms: [
        'native',
        'conntrack/record',
        'conntrack/source',
        'conntrack/source-error',
        'conntrack/node-addresses',
        'conntrack/host-addresses',
        'conntrack/map-reader',
        'conntrack/ebpf/layout',
        'conntrack/ebpf/decode',
        'conntrack/ebpf/kept-entries',
        'conntrack/ebpf/pair-records',
        'conntrack/ebpf/translations',
      ],
    },
    'conntrack/netfilter': {
      packages: ['netlink', '@egressd/flow'],
      rooms: ['native', 'conntrack/record', 'conntrack/source', 'conntrack/source-error', 'conntrack/node-addresses'],
    },
    conntrack: {
      packages: ['@egressd/flow', '@egressd/daemon', 'prom-client'],
      rooms: ['conntrack/record', 'conntrack/source', 'conntrack/source-error'],
    },
    'flow-table': { rooms: ['word-table', 'conntrack/record'], pure: true },
    reducer: {
      packages: ['@egressd/flow'],
      rooms: ['word-table', 'conntrack/record'],
      types: ['flow-table'],
      pure: true,
    },
    state: {
      packages: ['@egressd/flow', '@egressd/daemon', '@bufbuild/protobuf', 'prom-client'],
      rooms: ['native'],
      types: ['flow-table', 'reducer'],
    },
    stream: {
      packages: ['@egressd/flow', '@egressd/daemon', '@grpc/grpc-js', '@bufbuild/protobuf', 'prom-client'],
      types: ['reducer', 'state'],
    },
    'read-schedule': { packages: ['@egressd/daemon'] },
    'hand-over': { packages: ['@egressd/daemon'], rooms: ['state'], types: ['flow-table', 'stream'] },
    init: { packages: ['@egressd/daemon'], rooms: ['native', 'conntrack/netfilter'] },
    'dump-ct': {
      packages: ['@egressd/daemon'],
      rooms: ['conntrack', 'conntrack/record', 'conntrack/source-error'],
      types: ['conntrack/source'],
    },
    metrics: {
      packages: ['@egressd/daemon', 'prom-client'],
      rooms: ['conntrack'],
      types: ['conntrack/source', 'flow-table', 'reducer'],
    },
    start: { packages: ['@egressd/flow', '@egressd/daemon', 'prom-client'], rooms: EVERY_ROOM },
    collector: { packages: ['@egressd/flow', '@egressd/daemon', 'prom-client'], rooms: EVERY_ROOM },
    main: { packages: ['@egressd/flow', '@egressd/daemon', 'prom-client'], rooms: EVERY_ROOM },
  },
  exporter: {
    flags: { packages: ['@egressd/daemon'] },
    'config/issues': { packages: ['zod', '@egressd/daemon'] },
    'config/yaml-structure': { packages: ['yaml'] },
    'config/yaml': { packages: ['yaml'], rooms: ['config/issues', 'config/yaml-structure'] },
    config: {
      packages: ['zod', 'yaml', '@egressd/daemon', '@egressd/flow'],
      rooms: ['flags', ...SINK_SETTINGS, 'config/issues', 'config/yaml', 'networks/schema'],
      types: ['networks'],
    },
    'clock/node-clocks': { pure: true },
    clock: { packages: ['@egressd/daemon', 'prom-client'], rooms: ['clock/node-clocks'] },
    receiver: {
      packages: ['@egressd/flow', '@egressd/daemon', '@grpc/grpc-js', '@bufbuild/protobuf', 'prom-client'],
      rooms: ['authorization/certificate-nodes', 'clock/node-clocks'],
      types: ['state'],
    },
    'authorization/certificate-nodes': { packages: ['@grpc/grpc-js'] },
    authorization: {
      packages: ['@egressd/flow'],
      types: ['owners', 'authorization/certificate-nodes'],
      pure: true,
    },
    state: { types: ['receiver', 'aggregate'], pure: true },
    'state/file': { packages: ['@egressd/daemon'] },
    'state/lock': {},
    'state/ip-history': {
      packages: ['@egressd/flow', '@egressd/daemon', 'zod', 'prom-client'],
      rooms: ['state', 'state/file'],
      types: ['owners'],
    },
    // What it holds is fed to it by the rooms whose state it is, as plain columns.
    'state/checkpoint': {
      packages: ['@egressd/daemon', 'prom-client'],
      rooms: ['state', 'state/file', 'networks/network'],
      types: ['aggregate', 'enrich', 'sinks'],
    },
    owners: { packages: ['@egressd/flow'], pure: true },
    inventory: {
      packages: ['@egressd/flow', '@egressd/daemon', 'zod', 'yaml', 'prom-client'],
      rooms: ['owners', 'config/issues', 'config/yaml'],
    },
    kube: {
      packages: ['@egressd/flow', '@egressd/daemon', '@kubernetes/client-node', 'yaml', 'prom-client'],
      rooms: ['owners', 'clock/node-clocks'],
    },
    certificates: { packages: ['@egressd/daemon', 'pkijs', 'asn1js'], rooms: ['kube'] },
    'node-problems/node-problems': { packages: ['@egressd/flow'], pure: true },
    'node-problems': {
      packages: ['@egressd/flow', '@egressd/daemon', 'prom-client'],
      rooms: ['node-problems/node-problems'],
      types: ['receiver', 'kube'],
    },
    'budget/budget': { pure: true },
    budget: { types: ['budget/budget'] },
    pending: { packages: ['@egressd/flow'], types: ['receiver', 'owners', 'aggregate'], pure: true },
    'networks/network': { pure: true },
    'networks/network-index': { packages: ['@egressd/flow'], types: ['networks/network'], pure: true },
    'networks/range-file': {
      packages: ['@egressd/flow'],
      types: ['networks/network', 'networks/network-index'],
      pure: true,
    },
    'networks/schema': {
      packages: ['@egressd/flow', '@egressd/daemon', 'zod'],
      rooms: ['networks/network', 'config/issues'],
      types: ['networks/network-index'],
      pure: true,
    },
    networks: {
      packages: ['@egressd/daemon', 'prom-client'],
      rooms: ['networks/network-index', 'networks/range-file', 'networks/schema', 'config/issues', 'config/yaml'],
      types: ['networks/network'],
    },
    'enrich/verdict': { pure: true },
    enrich: {
      packages: ['@egressd/flow'],
      rooms: ['enrich/verdict'],
      types: ['receiver', 'owners', 'networks/network'],
      pure: true,
    },
    aggregate: {
      packages: ['@egressd/flow'],
      rooms: ['enrich/verdict', 'aggregate/shares', 'aggregate/snapshot', 'aggregate/totals'],
      types: ['enrich'],
      pure: true,
    },
    'sinks/settings': { types: SINK_SETTINGS, pure: true },
    'sinks/remote-write/settings': { rooms: ['sinks/http/settings', 'sinks/label-sets/settings'], pure: true },
    'sinks/otlp/settings': {
      types: ['sinks/counters'],
      rooms: ['sinks/http/settings', 'sinks/label-sets/settings'],
      pure: true,
    },
    'sinks/http-post/settings': { rooms: ['sinks/http/settings', 'sinks/label-sets/settings'], pure: true },
    'sinks/file/settings': { types: ['sinks/label-sets/settings'], pure: true },
    'sinks/stdout/settings': { types: ['sinks/label-sets/settings'], pure: true },
    'sinks/http/settings': { pure: true },
    'sinks/label-sets/settings': { types: ['sinks/http/settings'], pure: true },
    'sinks/counters': { types: ['aggregate/snapshot'], pure: true },
    'sinks/label-sets': {
      packages: ['@egressd/flow'],
      rooms: ['sinks/label-sets/settings', 'aggregate/snapshot'],
      pure: true,
    },
    sinks: {
      packages: ['@egressd/flow', '@egressd/daemon', '@bufbuild/protobuf', 'undici', 'snappy', 'prom-client'],
      rooms: ['aggregate/snapshot', 'aggregate/totals', 'sinks/counters', 'sinks/label-sets', ...SINK_SETTINGS],
      types: ['aggregate'],
    },
    'aggregate/shares': { types: ['enrich'], pure: true },
    'aggregate/totals': { packages: ['@egressd/flow'], pure: true },
    'aggregate/snapshot': { types: ['aggregate/totals', 'enrich'], pure: true },
    web: {
      packages: ['@egressd/flow', '@egressd/daemon', 'prom-client'],
      rooms: ['aggregate/snapshot', 'aggregate/totals'],
      types: ['aggregate'],
    },
    metrics: {
      packages: ['prom-client'],
      rooms: ['enrich/verdict', 'aggregate/shares', 'pending'],
      types: ['enrich', 'aggregate', 'owners', 'receiver'],
    },
    'series-check': { rooms: ['sinks/label-sets', 'sinks/label-sets/settings'], types: ['aggregate'], pure: true },
    'check-install/sample': { pure: true },
    'check-install': { packages: ['@egressd/daemon'], rooms: ['check-install/sample'] },
    exporter: { packages: ['@egressd/flow', '@egressd/daemon', 'prom-client'], rooms: EVERY_ROOM },
    start: { packages: ['@egressd/flow', '@egressd/daemon', 'prom-client'], rooms: EVERY_ROOM },
    main: { packages: ['@egressd/flow', '@egressd/daemon', 'prom-client'], rooms: EVERY_ROOM },
  },
};
