import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { formatAddress } from '@egressd/flow/address';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { TRACK_ALL, useConntrackNamespace } from '../../testing/conntrack-namespace.ts';
import { type RecordFields, recordFields } from '../record-fields.ts';
import type { ConntrackSource } from '../source.ts';
import { openNetfilterSource } from './source.ts';

const SETUP = `
  ip addr add 169.254.7.7/32 dev lo
  ip -6 addr add fd77::1/128 dev lo nodad && ip -6 addr add fd77::2/128 dev lo nodad
  ip route add local 10.78.0.0/16 dev lo`;
const { name: NAME, file: FILE, inside } = useConntrackNamespace('source', `${SETUP}\n${TRACK_ALL}`);
const run = promisify(execFile);
const NODE = [process.execPath, '--conditions=source', '--disable-warning=ExperimentalWarning'];
const script = (code: string) => [...NODE, '-e', code];
const SOURCE = JSON.stringify(new URL('./source.ts', import.meta.url).href);

let source: ConntrackSource;

beforeAll(async () => {
  source = await openNetfilterSource({ namespace: FILE });
});
afterAll(async () => {
  await source?.close();
});

async function readRecords(from: ConntrackSource = source): Promise<RecordFields[]> {
  const records: RecordFields[] = [];
  const report = await from.read((block) => {
    for (let i = 0; i < block.count; i++) records.push(recordFields(block, i));
  });
  expect(report).toMatchObject({ complete: true, entries: records.length });
  return records;
}

/** Connections of both families that stay, idle. Ends with its stdin. */
const IDLE_CONNECTIONS = `
  import { connect, createServer } from 'node:net';
  import { createSocket } from 'node:dgram';
  const keep = [];
  for (const [source, destination, udp] of [['10.77.0.1', '10.77.0.2', 'udp4'], ['fd77::1', 'fd77::2', 'udp6']]) {
    const server = createServer((socket) => socket.on('error', () => {}).end('x'.repeat(5000)));
    await new Promise((done) => server.listen(0, destination, done));
    for (let i = 1; i <= 3; i++) {
      const socket = connect({ host: destination, port: server.address().port, localAddress: source, allowHalfOpen: true });
      socket.write('y'.repeat(i * 1000));
      await new Promise((done) => socket.on('data', () => {}).on('end', done));
      keep.push(socket);
    }
    const datagrams = createSocket(udp);
    await new Promise((done) => datagrams.bind(0, source, done));
    for (let i = 0; i < 5; i++) await new Promise((done) => datagrams.send('z'.repeat(100), 9000 + i, destination, done));
  }
  setTimeout(() => console.log('ready'), 300);
  process.stdin.resume().on('end', () => process.exit());
`;

async function startIdleConnections(): Promise<ChildProcess> {
  const child = spawn('ip', ['netns', 'exec', NAME, ...script(IDLE_CONNECTIONS)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(child.stdout!, 'data');
  return child;
}

/** A line of `conntrack -L -o id` as one text, and the same of a record. */
function ofLine(line: string): string {
  const all = (key: string) => [...line.matchAll(new RegExp(`\\b${key}=(\\S+)`, 'g'))].map(([, value]) => value);
  const address = all('src').concat(all('dst')[0]!);
  const protocol = /^\w+\s+(\d+)/.exec(line)?.[1];
  return [
    protocol,
    ...address,
    ...all('sport'),
    all('dport')[0],
    ...all('packets'),
    ...all('bytes'),
    all('dst')[1],
  ].join(' ');
}
function ofRecord(record: RecordFields): string {
  const { protocol, originalSource, originalDestination, replySource, originalPorts, replyPorts } = record;
  const ports = [originalPorts[0], replyPorts[0], originalPorts[1]];
  const packets = [record.originalPackets, record.replyPackets];
  const bytes = [record.originalBytes, record.replyBytes];
  return [
    protocol,
    originalSource,
    replySource,
    originalDestination,
    ...ports,
    ...packets,
    ...bytes,
    record.replyDestination,
  ].join(' ');
}

test('a read is what conntrack -L says, for both families', async () => {
  const child = await startIdleConnections();
  const isOurs = (text: string) => /^(6|17) (10\.77|fd77)/.test(text);
  const lists = await Promise.all(
    ['ipv4', 'ipv6'].map((family) => inside('conntrack', '-L', '-f', family, '-o', 'id')),
  );
  const expected = lists
    .flatMap(({ stdout }) => stdout.trim().split('\n'))
    .map(ofLine)
    .filter(isOurs);
  const found = (await readRecords()).map(ofRecord).filter(isOurs);
  child.stdin!.end();
  await once(child, 'exit');
  expect(found.sort()).toEqual(expected.sort());
  expect(found.length).toBe(2 * (3 + 5));
});

const MANY = 50_000;
const MANY_CONNECTIONS = `
  import { createSocket } from 'node:dgram';
  const socket = createSocket('udp4');
  socket.on('error', () => {});
  await new Promise((done) => socket.bind(0, '10.77.0.1', done));
  for (let i = 0; i < ${MANY}; i++) {
    const sent = new Promise((done) => socket.send('x', 2000 + (i % 50), '10.78.' + (1 + (i / 12500 | 0)) + '.' + (1 + ((i / 50 | 0) % 250)), done));
    if (i % 100 === 99) await sent;
  }
  socket.close();
`;

test(`${MANY} connections, each once`, async () => {
  await inside('sysctl', '-qw', 'net.netfilter.nf_conntrack_udp_timeout=600');
  await inside(...script(MANY_CONNECTIONS));
  const many = (await readRecords()).filter(({ originalDestination }) => originalDestination.startsWith('10.78.'));
  const ends = new Set(
    many.map(({ originalDestination, originalPorts }) => `${originalDestination} ${originalPorts[1]}`),
  );
  expect(many.every(({ originalBytes, originalPackets }) => originalBytes === 29n && originalPackets === 1n)).toBe(
    true,
  );
  expect([many.length, ends.size]).toEqual([MANY, MANY]);
  await inside('conntrack', '-F');
});

test('sysctls are read anew, and are those of the namespace', async () => {
  expect(source.sysctls()).toEqual({ accounting: true, timestamps: true, events: 1 });
  await inside('sysctl', '-qw', 'net.netfilter.nf_conntrack_acct=0', 'net.netfilter.nf_conntrack_events=0');
  expect(source.sysctls()).toEqual({ accounting: false, timestamps: true, events: 0 });
  await inside('sysctl', '-qw', 'net.netfilter.nf_conntrack_acct=1', 'net.netfilter.nf_conntrack_events=1');
});

test('addresses of the node are the global ones of the namespace', async () => {
  const addresses = (await source.nodeAddresses()).map((address) => formatAddress(address));
  expect(addresses.sort()).toEqual(['10.77.0.1', '10.77.0.2', 'fd77::1', 'fd77::2']);
});

test('addresses come and go; interfaces that are down or hold Services are not the node', async () => {
  const now = async () => (await source.nodeAddresses()).map((address) => formatAddress(address));
  const before = await now();
  const added = async (name: string, address: string, ...more: string[]) => {
    await inside('ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}-b`);
    await inside('ip', 'address', 'add', address, 'dev', name);
    for (const word of more) await inside('ip', 'link', 'set', name, word);
    return (await now()).filter((one) => !before.includes(one));
  };
  expect(await added('kube-ipvs0', '10.96.0.1/32')).toEqual([]);
  expect(await added('nodelocaldns', '10.96.0.10/32', 'up')).toEqual([]);
  expect(await added('kube-dummy-if', '10.96.0.11/32', 'up')).toEqual([]);
  expect(await added('cni0', '10.77.9.1/32', 'up')).toEqual(['10.77.9.1']);
  await inside('ip', 'link', 'set', 'cni0', 'down');
  expect(await now()).toEqual(before);
  for (const name of ['kube-ipvs0', 'nodelocaldns', 'kube-dummy-if', 'cni0'])
    await inside('ip', 'link', 'delete', name);
});

test('a connection without counters is counted', async () => {
  await inside('conntrack', '-F');
  await inside('sysctl', '-qw', 'net.netfilter.nf_conntrack_acct=0');
  await inside('bash', '-c', 'echo > /dev/udp/10.77.0.2/7');
  await inside('sysctl', '-qw', 'net.netfilter.nf_conntrack_acct=1');
  const report = await source.read(() => {});
  expect([report.entries, report.skipped.no_counters]).toEqual([0, 1]);
});

test('host-pid: the namespace of process 1, and no other', async () => {
  const procRoot = mkdtempSync(join(tmpdir(), 'egressd-proc-'));
  mkdirSync(join(procRoot, '1/ns'), { recursive: true });
  symlinkSync(FILE, join(procRoot, '1/ns/net'));
  // Two sources in one process: the second must be of the process's own namespace after the first has been elsewhere.
  const [host, own] = [await openNetfilterSource({ hostPid: true, procRoot }), await openNetfilterSource()];
  try {
    const of = async (one: ConntrackSource) => (await one.nodeAddresses()).map((address) => formatAddress(address));
    expect(await of(host)).toContain('10.77.0.1');
    expect(await of(own)).not.toContain('10.77.0.1');
    expect(host.sysctls()).toEqual({ accounting: true, timestamps: true, events: 1 });
    await inside('conntrack', '-F');
    await inside('bash', '-c', 'echo > /dev/udp/10.77.0.2/7');
    const ours = async (one: ConntrackSource) =>
      (await readRecords(one)).filter(({ originalDestination }) => originalDestination === '10.77.0.2').length;
    expect([await ours(host), await ours(own)]).toEqual([1, 0]);
  } finally {
    await Promise.all([host.close(), own.close()]);
    rmSync(procRoot, { recursive: true });
  }
});

/** A program that says why a source cannot be opened. Each has a process of its own: libraries are opened once a process. */
const openAndSay = () =>
  script(`
    const { openNetfilterSource } = await import(${SOURCE});
    await openNetfilterSource().catch(({ code, message }) => console.log(code, message));`);

describe('what cannot be read says why', () => {
  test('no such namespace', async () => {
    const opened = openNetfilterSource({ namespace: '/var/run/netns/not-there' });
    await expect(opened).rejects.toMatchObject({ code: 'system', message: expect.stringContaining('hostPID') });
  });
  test('no library', async () => {
    const hide = `mount --bind /dev/null "$(ldconfig -p | sed -n 's/.*libnetfilter_conntrack.so.3 .*=> //p')" && exec "$@"`;
    const { stdout } = await run('unshare', ['--mount', 'sh', '-c', hide, 'sh', ...openAndSay()]);
    expect(stdout).toMatch(/^library .*install the package libnetfilter-conntrack3/);
  });
  test('no right to', async () => {
    // Root still: another user might not even read the checkout.
    const without = ['--bounding-set=-net_admin', '--inh-caps=-net_admin', '--'];
    const { stdout } = await run('setpriv', [...without, ...openAndSay()]);
    expect(stdout).toMatch(/^permission .*run as root, or with the capability NET_ADMIN\n$/);
  });
});

test('a reading thread that dies fails its read, and the next read starts another', async () => {
  const code = `
    const { openNetfilterSource } = await import(${SOURCE});
    const workers = [];
    process.on('worker', (worker) => workers.push(worker));
    const source = await openNetfilterSource();
    const read = source.read(() => {});
    workers[0].terminate();
    await read.catch(({ name, code }) => console.log(name, code));
    console.log((await source.read(() => {})).complete, workers.length);
    await source.close();`;
  const { stdout } = await inside(...script(code));
  expect(stdout).toBe('SourceError system\ntrue 2\n');
});

test('what a reader of blocks throws fails its read, and the next read is whole', async () => {
  const thrown = source.read(() => {
    throw new Error('full');
  });
  await expect(thrown).rejects.toThrow('full');
  expect(await source.read(() => {})).toMatchObject({ complete: true });
});
