import { spawn } from 'node:child_process';
import { type BpfFolder, openBpfFolder } from '@egressd/world/cilium/bpf-maps';
import { CiliumNode, type CiliumNodeOptions, lifetimeIn, type RawEntry } from '@egressd/world/cilium/cilium-node';
import { directedBytes, summedBytes, TUPLE_F, tupleBytes } from '@egressd/world/cilium/entries';
import { daemonCommand } from '@egressd/world/daemons/daemon-command';
import { runCommand } from '@egressd/world/network/commands';
import { newRunName, removeNamespaces } from '@egressd/world/network/runs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

/** What a collector finds on a node, by itself and with -ct-mode: the real program, with the node's maps where they belong. */
const LIMIT_MS = 30_000;

let namespace = '';
let folder: BpfFolder;

beforeAll(async () => {
  namespace = `${await newRunName()}detect`;
  await runCommand('ip', ['netns', 'add', namespace]);
});

beforeEach(async () => {
  folder = await openBpfFolder();
});

afterEach(() => folder.close());

afterAll(() => removeNamespaces([namespace]));

/** Runs the collector once. `ip netns exec` gives it mounts of its own. */
async function dump(flags: readonly string[], prefix: readonly string[] = []) {
  const mount = ['sh', '-c', 'mount --bind "$0" /sys/fs/bpf && exec "$@"', folder.root];
  const command = [...mount, ...prefix, ...daemonCommand('collector'), '-dump-ct', ...flags];
  const child = spawn('ip', ['netns', 'exec', namespace, ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { out: '', error: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    said.out += chunk.toString('utf8');
  });
  child.stderr.on('data', (chunk: Buffer) => {
    said.error += chunk.toString('utf8');
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  return { code, ...said };
}

const key = (flags: number, sourcePort = 40_000) =>
  tupleBytes({ source: '203.0.113.7', sourcePort, destination: '10.1.0.1', destinationPort: 53, protocol: 17, flags });
/** Seconds: long ago, and since the machine's boot, as jiffies before that are taken for the other clock. */
const LONG_EXPIRED = -Math.min(7200, Number(process.hrtime.bigint()) / 2e9);
const lifetime = (left: number) => ({ lifetime: lifetimeIn('jiffies', left) });
const directed = (left: number): RawEntry => [
  key(TUPLE_F.in),
  directedBytes({ rxPackets: 2, rxBytes: 128, txPackets: 1, txBytes: 514, ...lifetime(left) }),
];
const summed = (packets: number): RawEntry => [
  key(TUPLE_F.in),
  summedBytes({ packets, bytes: 200 * packets, ...lifetime(50) }),
];

describe('by itself', () => {
  const chosen = (name: string, seen: string) => expect.stringMatching(`chosen=${name} seen="${seen}"`);

  test('no maps: netfilter', async () => {
    expect(await dump([])).toMatchObject({ code: 0, error: chosen('netfilter', "no maps of Cilium's") });
  });

  test('maps of an active Cilium: those, one line an entry', async () => {
    new CiliumNode(folder, { pods: ['10.1.0.1'] }).put([directed(50)]);
    const { code, out, error } = await dump([]);
    expect({ code, error }).toEqual({ code: 0, error: chosen('cilium', "Cilium's maps, one counter a direction") });
    expect(out).toMatch(
      /^proto=17 src=203\.0\.113\.7:40000 dst=10\.1\.0\.1:53 tx_bytes=100 rx_bytes=500 expires=\d+s\n$/,
    );
  });

  /** Where Cilium is at work, eBPF would count: a dump does not attach it. */
  const NO_EBPF = 'no counting by eBPF';

  test.each<[string, string, CiliumNodeOptions, RawEntry[], string]>([
    ['new maps that count', 'directions_summed', {}, [summed(5)], NO_EBPF],
    ['new maps that do not', 'counters_off', {}, [summed(0)], NO_EBPF],
    ['maps without entries', 'undetermined', {}, [], "Cilium's maps"],
    ['maps left from a removed Cilium', 'stale', {}, [directed(LONG_EXPIRED)], "Cilium's maps"],
    ['maps of unknown sizes', 'sizes', { valueBytes: 64 }, [], NO_EBPF],
  ])('%s: netfilter, and why', async (_, reason, options, entries, seen) => {
    const node = new CiliumNode(folder, options);
    if (entries.length > 0) node.put(entries);
    const { code, error } = await dump([]);
    expect({ code, error }).toEqual({ code: 0, error: chosen('netfilter', seen) });
    expect(error).toMatch(`level=warn msg="Cilium's maps cannot be read" reason=${reason} error=`);
  });

  test('without the right to: netfilter, and which right', async () => {
    new CiliumNode(folder).put([directed(50)]);
    // Owned by another user, and root without the capabilities that put it above that.
    await runCommand('chown', ['--recursive', '1', folder.globals]);
    const without = '-dac_override,-dac_read_search';
    const { code, error } = await dump([], ['setpriv', `--bounding-set=${without}`, `--inh-caps=${without}`]);
    expect({ code, error }).toEqual({ code: 0, error: chosen('netfilter', "Cilium's maps") });
    expect(error).toMatch(/reason=permission error=".*EACCES: run as root/);
  });
});

describe('by -ct-mode', () => {
  test('netfilter: maps are not looked at', async () => {
    new CiliumNode(folder, { pods: ['10.1.0.1'] }).put([directed(50)]);
    expect(await dump(['-ct-mode=netfilter'])).toMatchObject({
      code: 0,
      error: expect.stringMatching('chosen=netfilter'),
    });
  });

  test('cilium: also what is left of it', async () => {
    new CiliumNode(folder, { pods: ['10.1.0.1'] }).put([directed(LONG_EXPIRED)]);
    const { code, out } = await dump(['-ct-mode=cilium']);
    expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining('tx_bytes=100 rx_bytes=500 expires=0s') });
  });

  test('cilium, which is not there: an error', async () => {
    expect(await dump(['-ct-mode=cilium'])).toMatchObject({ code: 1, error: expect.stringContaining("Cilium's maps") });
  });
});
