import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderHelp, renderMarkdown } from '@egressd/daemon/flag-help';
import { describe, expect, test } from '@jest/globals';
import { COLLECTOR_FLAGS, type CollectorFlags, notices, parseCollectorFlags } from './flags.ts';

function read(...argv: string[]): CollectorFlags {
  const parsed = parseCollectorFlags(argv, {});
  if (parsed.kind !== 'values') throw new Error(JSON.stringify(parsed));
  return parsed.values;
}

/** `UPDATE_GOLDEN=1` writes what is found instead of comparing. */
function expectGolden(name: string, text: string): void {
  const path = join(import.meta.dirname, 'testdata', name);
  if (process.env.UPDATE_GOLDEN) writeFileSync(path, text);
  expect(text).toBe(readFileSync(path, 'utf8'));
}

test('-help', () => {
  expectGolden('help.txt', renderHelp('egressd-collector', 'egressd-collector', COLLECTOR_FLAGS));
});

test('the table of docs/flags.md', () => {
  expectGolden('flags.md', renderMarkdown(COLLECTOR_FLAGS));
});

test('the defaults are those that users know', () => {
  expect(read()).toMatchObject({
    logLevel: 'info',
    readInterval: 5000,
    cleanupInterval: 120_000,
    httpListenPort: 8008,
    hostPid: false,
    excludeNamespaces: ['kube-system'],
    dumpCt: false,
    ciliumClockSource: 'jiffies',
    groupPublicIps: false,
    sendTrafficDelta: undefined,
    logEntries: false,
    ebpfDnsTracerEnabled: true,
    ebpfDnsTracerQueueSize: 1000,
    init: false,
    initCgroupv2: false,
    exporterAddress: '127.0.0.1:6062',
    insecure: false,
    stateDir: undefined,
    ctMode: undefined,
    maxPairs: 262_144,
  });
});

test('what an old chart passes is accepted', () => {
  const argv = ['--http-listen-port=6061', '--group-public-ips=true', '--send-traffic-delta=true', '--log-level=info'];
  const old = read(...argv, '--ebpf-dns-tracer-enabled=false', '--ct-mode=', '-init=true', '--init-cgroupv2=true');
  expect(old).toMatchObject({ httpListenPort: 6061, groupPublicIps: true, sendTrafficDelta: true, ctMode: undefined });
  expect(notices(old)).toEqual([]);
});

describe('notices', () => {
  test.each<[string, string]>([
    ['-kubeconfig=/root/.kube/config', '-kubeconfig is not needed'],
    ['-ebpf-dns-tracer-enabled', 'names from DNS answers come with a later release'],
  ])('%s', (flag, start) => {
    const lines = notices(read('-ebpf-dns-tracer-enabled=false', flag));
    expect(lines.map((line) => line.slice(0, start.length))).toEqual([start]);
  });

  test('a clock of maps that are not read', () => {
    const lines = (mode: string) =>
      notices(read('-ebpf-dns-tracer-enabled=false', '-cilium-clock-source=ktime', `-ct-mode=${mode}`));
    expect(lines('netfilter')).toEqual(["-cilium-clock-source: Cilium's maps are not read with -ct-mode=netfilter"]);
    expect(lines('cilium')).toEqual([]);
    expect(lines('')).toEqual([]);
  });
});

test.each<[string[], string]>([
  [['-tls-cert-file=a'], '-tls-cert-file and -tls-key-file: only one is set, a certificate needs both'],
  [['-conntrack-zones=0,70000'], '-conntrack-zones: "70000" is no zone: numbers from 0 to 65535, separated by commas'],
  [['-init-cgroupv2'], '-init-cgroupv2: works only together with -init'],
  [['-ct-mode=pcap'], '-ct-mode: is "pcap", expected netfilter, cilium, ebpf, or nothing'],
  [['-read-interval=1ms'], '-read-interval: is "1ms", expected a duration from 100ms to 1h, such as 5s'],
  [['-max-pairs=0'], '-max-pairs: is "0", expected a whole number from 1024 to 16777216'],
  [['-state=/a'], '-state: unknown flag (did you mean -state-dir?)'],
  [['-grpc-listen-port=1'], '-grpc-listen-port: unknown flag'],
])('%j is a mistake', (argv, mistake) => {
  expect(parseCollectorFlags(argv, {})).toEqual({ kind: 'mistakes', mistakes: [mistake] });
});
