import { formatAddress, inRange, parseAddress, parseRange, type Range } from '@egressd/flow/address';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { mergeRanges } from './merge-ranges.ts';
import { readNode } from './node-record.ts';
import { readPod } from './pod-record.ts';
import { workloadOf } from './workload.ts';

const START = '2026-01-02T03:04:05Z';
const START_MS = Date.parse(START);

function pod(spec: object = {}, status: object = {}, metadata: object = {}) {
  return readPod({
    metadata: { uid: 'u', namespace: 'ns', name: 'p', ...metadata },
    spec: { nodeName: 'n', ...spec },
    status: { phase: 'Running', podIPs: [{ ip: '10.0.0.1' }], startTime: START, ...status },
  })!;
}

const texts = (addresses: readonly Uint8Array[]) => addresses.map((bytes) => formatAddress(bytes));
const ended = (...at: string[]) => at.map((finishedAt) => ({ state: { terminated: { finishedAt } } }));

describe('a pod', () => {
  test('as it is read', () => {
    expect(pod()).toEqual({
      pod: {
        key: 'u',
        namespace: 'ns',
        name: 'p',
        node: 'n',
        addresses: [parseAddress('10.0.0.1')],
        hostNetwork: false,
        running: true,
        fromMs: START_MS,
      },
      finished: false,
      endedMs: undefined,
      problems: [],
    });
  });

  test.each<[string, object, string[], string[]]>([
    ['two families', { podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }] }, ['10.0.0.1', 'fd00::1'], []],
    ['only the old field', { podIPs: undefined, podIP: '10.0.0.2' }, ['10.0.0.2'], []],
    ['none yet', { podIPs: undefined, phase: 'Pending' }, [], []],
    ['none though it runs', { podIPs: [] }, [], ['no_address']],
    ['one of two is none', { podIPs: [{ ip: 'x' }, { ip: 'fd00::1' }] }, ['fd00::1'], ['malformed_address']],
    ['no text', { podIPs: [{ ip: 7 }, 'x', null] }, [], ['no_address']],
    ['the address of all', { podIPs: [{ ip: '0.0.0.0' }] }, [], ['malformed_address']],
  ])('addresses: %s', (_, status, expected, problems) => {
    expect(texts(pod({}, status).pod.addresses)).toEqual(expected);
    expect(pod({}, status).problems).toEqual(problems);
  });

  test('runs until it is to be deleted', () => {
    const running = (status: object, metadata: object = {}) => pod({}, status, metadata).pod.running ?? false;
    expect([running({}), running({ phase: 'Pending' }), running({}, { deletionTimestamp: START })]).toEqual([
      true,
      false,
      false,
    ]);
  });

  test('has its addresses since its network was there, where the status has that', () => {
    const condition = { type: 'PodReadyToStartContainers', lastTransitionTime: '2026-01-02T03:05:00Z' };
    const since = (status: string) => pod({}, { conditions: [{ ...condition, status }] }).pod.fromMs;
    expect([since('True'), since('False')]).toEqual([Date.parse('2026-01-02T03:05:00Z'), START_MS]);
  });

  test('or since a container of it started first: up to Kubernetes 1.35 the condition waits for all of them', () => {
    const conditions = [
      { type: 'PodReadyToStartContainers', status: 'True', lastTransitionTime: '2026-01-02T03:05:00Z' },
    ];
    const since = (...containerStatuses: object[]) =>
      new Date(pod({}, { conditions, containerStatuses }).pod.fromMs!).toISOString();
    const running = (startedAt: string, rest: object = {}) => ({ state: { running: { startedAt } }, ...rest });
    expect(since(running('2026-01-02T03:04:30Z'), running('2026-01-02T03:04:59Z'))).toBe('2026-01-02T03:04:30.000Z');
    expect(since({ state: { terminated: { startedAt: '2026-01-02T03:04:40Z' } } })).toBe('2026-01-02T03:04:40.000Z');
    const restarted = { lastState: { terminated: { startedAt: '2026-01-02T03:04:00Z' } } };
    expect(since(running('2026-01-02T09:00:00Z', restarted))).toBe('2026-01-02T03:05:00.000Z');
  });

  test.each<[string, object[], string]>([
    [
      'the first start of a container',
      [{ running: { startedAt: '2026-01-02T03:04:50Z' } }],
      '2026-01-02T03:04:50.000Z',
    ],
    ['of one that has ended', [{ terminated: { startedAt: '2026-01-02T03:04:40Z' } }, {}], '2026-01-02T03:04:40.000Z'],
    ['none has started', [{ waiting: {} }], '2026-01-02T03:04:05.000Z'],
  ])('without the condition (up to 1.28): %s', (_, states, expected) => {
    const containerStatuses = states.map((state) => ({ state, restartCount: 0 }));
    expect(new Date(pod({}, { containerStatuses }).pod.fromMs!).toISOString()).toBe(expected);
    const restarted = containerStatuses.map((one) => ({ ...one, restartCount: 1 }));
    expect(pod({}, { containerStatuses: restarted }).pod.fromMs).toBe(START_MS);
  });

  test('on the host network it has none of its own', () => {
    expect(pod({ hostNetwork: true }).pod).toMatchObject({ hostNetwork: true, addresses: [] });
  });

  test.each<[string, object, boolean, number | undefined]>([
    ['runs', {}, false, undefined],
    ['succeeded', { phase: 'Succeeded', containerStatuses: ended(START) }, true, START_MS + 1000],
    [
      'failed, the later container counts',
      { phase: 'Failed', containerStatuses: ended('2026-01-01T00:00:00Z', START) },
      true,
      START_MS + 1000,
    ],
    [
      'succeeded, its sidecar a little later',
      { phase: 'Succeeded', containerStatuses: ended('2026-01-01T00:00:00Z'), initContainerStatuses: ended(START) },
      true,
      START_MS + 1000,
    ],
    [
      'its sidecar still runs',
      { containerStatuses: ended(START), initContainerStatuses: [{ state: { running: {} } }] },
      false,
      undefined,
    ],
    ['succeeded, without a time', { phase: 'Succeeded' }, true, undefined],
    ['one of two still runs', { containerStatuses: [...ended(START), { state: { running: {} } }] }, false, undefined],
  ])('its end: %s', (_, status, finished, endedMs) => {
    expect(pod({}, status)).toMatchObject({ finished, endedMs });
  });

  test.each([
    undefined,
    null,
    7,
    'pod',
    [],
    {},
    { metadata: null },
    { metadata: { name: 'p', namespace: 'n' } },
    { metadata: { uid: 'u', name: 'p' } },
    { metadata: { uid: 'u', name: null, namespace: 'n' } },
  ])('not one: %j', (object) => {
    expect(readPod(object)).toBeUndefined();
  });

  test('whatever comes is read or left out', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (metadata, spec, status) => {
        // Who it is comes last: what comes may say that it has no name.
        const named = { ...(metadata as object), uid: 'u', name: 'p', namespace: 'n' };
        readPod({ metadata, spec, status });
        expect(readPod({ metadata: named, spec, status })).toBeDefined();
        expect(readNode({ metadata: named, spec, status })).toBeDefined();
      }),
      { examples: [[{ name: null }, [], []]] },
    );
  });
});

describe('a node', () => {
  const node = (labels: object, status: object = {}, spec: object = {}) =>
    readNode({ metadata: { name: 'n', labels }, spec, status })!;
  const ip = (type: string, address: string) => ({ type, address });

  test('all of its addresses, none of its names', () => {
    const addresses = [ip('InternalIP', '192.168.0.1'), ip('ExternalIP', '203.0.113.1'), ip('Hostname', '10.9.9.9')];
    const read = node(
      { 'topology.kubernetes.io/zone': 'a' },
      { addresses: [...addresses, ip('InternalIP', 'fd00::1')] },
    );
    expect(texts(read.node.addresses)).toEqual(['192.168.0.1', '203.0.113.1', 'fd00::1']);
    expect(read.problems).toEqual([]);
  });

  test.each<[object, string, string]>([
    [{ 'topology.kubernetes.io/zone': 'z', 'topology.kubernetes.io/region': 'r' }, 'z', 'r'],
    [{ 'failure-domain.beta.kubernetes.io/zone': 'z', 'failure-domain.beta.kubernetes.io/region': 'r' }, 'z', 'r'],
    [{ 'topology.kubernetes.io/zone': 'new', 'failure-domain.beta.kubernetes.io/zone': 'old' }, 'new', ''],
    [{}, '', ''],
  ])('zone and region: %j', (labels, zone, region) => {
    const addresses = [ip('InternalIP', '192.168.0.1')];
    expect(node(labels, { addresses }).node).toMatchObject({ zone, region });
    expect(node(labels, { addresses }).problems).toEqual(zone === '' ? ['no_zone'] : []);
  });

  test.each<[string, string, string]>([
    ['aws:///eu-1a/i-1', '0', '0'],
    ['azure:///subscriptions/s', 'westeurope-1', 'westeurope-1'],
    ['azure:///subscriptions/s', '1', ''],
  ])('on %s the zone %s is %s: fault domains are none', (providerID, label, zone) => {
    const labels = { 'topology.kubernetes.io/zone': label };
    expect(node(labels, {}, { providerID }).node.zone).toBe(zone);
  });

  test.each<[object, boolean]>([
    [{ 'kubernetes.io/os': 'linux' }, true],
    [{ 'eks.amazonaws.com/compute-type': 'fargate' }, false],
    [{ type: 'virtual-kubelet' }, false],
    [{ 'kubernetes.io/os': 'windows' }, false],
  ])('%j runs collectors: %s', (labels, runs) => expect(node(labels).runsCollectors).toBe(runs));

  test.each<[object, string[], string[]]>([
    [{ podCIDRs: ['10.1.0.0/24', 'fd00:1::/64'] }, ['10.1.0.0', 'fd00:1::'], []],
    [{ podCIDR: '10.1.0.0/24' }, ['10.1.0.0'], []],
    [{}, [], []],
    [{ podCIDRs: ['10.1.0.0/24', 'x'] }, ['10.1.0.0'], ['malformed_address']],
  ])('pod ranges: %j', (spec, expected, problems) => {
    const read = node({ 'topology.kubernetes.io/zone': 'z' }, { addresses: [ip('InternalIP', '192.168.0.1')] }, spec);
    expect(texts(read.podRanges.map(({ bytes }) => bytes))).toEqual(expected);
    expect(read.problems).toEqual(problems);
  });
});

test.each<[string, string, string, string | undefined]>([
  ['ReplicaSet', 'web-5d4f8c7b9c', '5d4f8c7b9c', 'Deployment web'],
  ['ReplicaSet', 'web', '', 'ReplicaSet web'],
  ['ReplicaSet', 'web-x', '5d4f8c7b9c', 'ReplicaSet web-x'],
  ['StatefulSet', 'db', '', 'StatefulSet db'],
  ['DaemonSet', 'agent', '', 'DaemonSet agent'],
  ['Job', 'import', '', 'Job import'],
  ['Job', 'backup-29456520', '', 'CronJob backup'],
  ['Job', 'backup-20260102', '', 'Job backup-20260102'],
  ['Node', 'node-1', '', undefined],
])('the workload behind %s %s', (kind, name, hash, expected) => {
  const labels = hash === '' ? {} : { 'pod-template-hash': hash };
  const found = workloadOf({
    labels,
    ownerReferences: [
      { kind: 'Other', name: 'x' },
      { kind, name, controller: true },
    ],
  });
  expect(found && `${found.kind} ${found.name}`).toBe(expected);
  expect(workloadOf({})).toBeUndefined();
});

describe('ranges', () => {
  const show = (ranges: readonly Range[]) => ranges.map(({ bytes, bits }) => `${formatAddress(bytes)}/${bits}`);

  test.each<[string[], string[]]>([
    [[], []],
    [
      ['10.0.0.0/24', '10.0.1.0/24', '10.0.1.128/25', '10.0.2.0/24'],
      ['10.0.0.0/119', '10.0.2.0/120'],
    ],
    [
      ['10.0.1.0/24', '10.0.2.0/24'],
      ['10.0.1.0/120', '10.0.2.0/120'],
    ],
    [['10.0.3.0/24', '10.0.2.0/24', '10.0.1.0/24', '10.0.0.0/24'], ['10.0.0.0/118']],
    [
      ['10.0.0.7/24', '10.0.0.0/24', 'fd00::/64'],
      ['10.0.0.0/120', 'fd00::/64'],
    ],
  ])('%j', (given, expected) => {
    expect(show(mergeRanges(given.map((text) => parseRange(text)!)))).toEqual(expected);
  });

  test('hold what they held before, and nothing else', () => {
    const range = fc.tuple(fc.nat(31), fc.integer({ min: 26, max: 32 })).map(([n, bits]) => `10.0.0.${n * 8}/${bits}`);
    fc.assert(
      fc.property(fc.array(range, { maxLength: 12 }), (given) => {
        const before = given.map((text) => parseRange(text)!);
        const after = mergeRanges(before);
        for (let last = 0; last < 256; last++) {
          const bytes = parseAddress(`10.0.0.${last}`)!;
          const holds = (ranges: readonly Range[]) => ranges.filter((it) => inRange(it, bytes)).length;
          expect(holds(after)).toBe(holds(before) > 0 ? 1 : 0);
        }
      }),
    );
  });
});
