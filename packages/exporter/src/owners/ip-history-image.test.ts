import { addressKey, parseAddress } from '@egressd/flow/address';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { IpHistory, type NodeOwner, type PodOwner } from './ip-history.ts';
import { type IpHistoryImage, imageOfIpHistory } from './ip-history-image.ts';
import type { PodRecord } from './owner-source.ts';
import { EVICT_AFTER_MS, OwnerRegistry } from './registry.ts';

const address = (text: string): Uint8Array => parseAddress(text)!;
const node = (name: string, addresses: string[] = [], zone = 'z') => {
  return { name, zone, region: 'r', addresses: addresses.map(address) };
};
function pod(key: string, on: string, addresses: string[], fromMs?: number): PodRecord {
  const bytes = addresses.map(address);
  const since = fromMs === undefined ? {} : { fromMs };
  return { key, namespace: 'ns', name: key, node: on, addresses: bytes, hostNetwork: false, ...since };
}

/** `name` of the pod or node, `none`, or `a|b` where it is not known which. */
function who(owners: OwnerRegistry, ip: string, fromMs: number, toMs = fromMs + 1, seenBy = 'n1'): string {
  const found = owners.ownerBetween(address(ip), 0, fromMs, toMs, seenBy);
  if (found.known === 'none') return 'none';
  const all = found.known === 'owner' ? [found.owner] : found.owners;
  return all
    .map((owner) => owner.pod || owner.node)
    .sort()
    .join('|');
}

/** At 1000 there are `a` and `gone-early`, which ends at 1500; a kernel's address comes at 1200, `b` comes at 2000, all is saved at 3000. */
function saved(): IpHistoryImage {
  const owners = new OwnerRegistry(['api']);
  const api = owners.source('api');
  const pods = [pod('a', 'n1', ['10.0.0.1'], 900), pod('gone-early', 'n2', ['10.0.0.2'], 800)];
  const nodes = [node('n1', ['192.168.0.1']), node('n2', ['192.168.0.2'])];
  api.replace({ nodes, pods, clusterRanges: [] }, 1000);
  owners.addNodeAddresses('n1', [address('172.17.0.1')], 1200);
  api.endPod('gone-early', 1500);
  api.upsertPod(pod('b', 'n1', ['10.0.0.3', 'fd00::3'], 2000), 2000);
  return owners.history(3000);
}

function restored(history = saved(), sources = ['api']): OwnerRegistry {
  const owners = new OwnerRegistry(sources);
  owners.restore(history);
  return owners;
}

describe('a restart', () => {
  const again = (pods: PodRecord[], nodes = [node('n1', ['192.168.0.1']), node('n2', ['192.168.0.2'])]) => {
    const owners = restored();
    expect(owners.synced).toBe(false);
    owners.source('api').replace({ nodes, pods, clusterRanges: [] }, 5000);
    return owners;
  };

  test('who lives keeps the time since when it has its address, whatever is reported later', () => {
    const owners = again([pod('a', 'n1', ['10.0.0.1'], 4000)]);
    expect([899, 900, 4000, 9000].map((at) => who(owners, '10.0.0.1', at))).toEqual(['none', 'a', 'a', 'a']);
    owners.source('api').endPod('a', 6000);
    expect([5999, 6000].map((at) => who(owners, '10.0.0.1', at))).toEqual(['a', 'none']);
  });

  test('who was deleted meanwhile has ended when it was found missing', () => {
    const owners = again([]);
    expect([1999, 2000, 4999, 5000].map((at) => who(owners, 'fd00::3', at))).toEqual(['none', 'b', 'b', 'none']);
    expect(owners.counts.pods).toBe(0);
  });

  test('who ended before keeps its times, with node and zone', () => {
    const owners = again([]);
    expect([799, 800, 1499, 1500].map((at) => who(owners, '10.0.0.2', at))).toEqual([
      'none',
      'gone-early',
      'gone-early',
      'none',
    ]);
    const owner = { kind: 'pod', namespace: 'ns', pod: 'gone-early', node: 'n2', zone: 'z', region: 'r' };
    expect(owners.ownerBetween(address('10.0.0.2'), 0, 1000, 1001)).toEqual({ known: 'owner', owner });
  });

  test('an address that was given to another meanwhile is that one’s since it has it', () => {
    const owners = again([pod('c', 'n2', ['10.0.0.1'], 3000)]);
    expect([2999, 3000, 5000].map((at) => who(owners, '10.0.0.1', at))).toEqual(['a', 'c', 'c']);
  });

  test('where a source does not know since when, who is new came after the history was saved', () => {
    const owners = again([pod('c', 'n2', ['10.0.0.1'])]);
    expect([2999, 3000, 5000].map((at) => who(owners, '10.0.0.1', at))).toEqual(['a', 'c', 'c']);
  });

  test('a pod that had finished is reported before the first state: its end is the one reported', () => {
    const owners = restored();
    owners.source('api').upsertPod(pod('a', 'n1', ['10.0.0.1'], 900), 5000);
    owners.source('api').endPod('a', 3500);
    owners.source('api').replace({ nodes: [], pods: [], clusterRanges: [] }, 5000);
    expect([3499, 3500].map((at) => who(owners, '10.0.0.1', at))).toEqual(['a', 'none']);
  });

  test('nodes, and addresses from their kernels, go on or end', () => {
    const same = again([]);
    expect([0, 9000].map((at) => who(same, '172.17.0.1', at))).toEqual(['n1', 'n1']);
    same.addNodeAddresses('n1', [], 6000);
    expect([5999, 6000].map((at) => who(same, '172.17.0.1', at))).toEqual(['n1', 'none']);
    const replaced = again([], [node('n2', ['192.168.0.22'])]);
    expect([4999, 5000].map((at) => who(replaced, '172.17.0.1', at))).toEqual(['n1', 'none']);
    expect([4999, 5000].map((at) => who(replaced, '192.168.0.1', at))).toEqual(['n1', 'none']);
    expect([4999, 5000].map((at) => who(replaced, '192.168.0.2', at))).toEqual(['n2', 'none']);
    expect(replaced.counts.nodes).toBe(1);
  });

  test('a source that is no more: what it reported has ended when it was saved', () => {
    const owners = restored(saved(), ['file']);
    owners
      .source('file')
      .replace({ nodes: [node('n1')], pods: [pod('a', 'n1', ['10.0.0.1'])], clusterRanges: [] }, 5000);
    expect([2999, 3000].map((at) => who(owners, '10.0.0.3', at))).toEqual(['b', 'none']);
    expect([2999, 3000].map((at) => who(owners, '192.168.0.2', at))).toEqual(['n2', 'none']);
    expect(who(owners, '10.0.0.1', 8000)).toBe('a');
  });

  test('the past is evicted as ever', () => {
    const owners = again([]);
    owners.evict(5000 + EVICT_AFTER_MS);
    expect(who(owners, '10.0.0.1', 1000)).toBe('none');
    expect(owners.counts.addresses).toBe(3);
  });

  test('ten restarts keep no more than one', () => {
    let history = saved();
    for (let i = 0; i < 10; i++) {
      const owners = restored(history);
      const api = owners.source('api');
      api.upsertPod(pod('job', 'n1', ['10.0.0.9'], 100), 4000);
      api.endPod('job', 200);
      api.replace(
        { nodes: [node('n1'), node('n2')], pods: [pod('a', 'n1', ['10.0.0.1'], 900)], clusterRanges: [] },
        4000,
      );
      history = owners.history(4100);
    }
    expect(history.pods.map(({ name, times }) => [name, times.length]).sort()).toEqual([
      ['a', 1],
      ['b', 2],
      ['gone-early', 1],
      ['job', 1],
    ]);
  });
});

test('whatever was reported: a registry that was restored answers as the one that was saved', () => {
  // A kernel reports the first three, which the other node does not believe, and the others are declared.
  const ips = ['10.0.1.1', '10.0.2.1', 'fd00:1::1', '10.1.0.1', '10.1.0.2', 'fd00:2::1'];
  const ipSet = fc.uniqueArray(fc.nat(2), { maxLength: 2 });
  const step = fc.oneof(
    fc.record({
      what: fc.constant('pod' as const),
      name: fc.nat(3),
      ips: fc.uniqueArray(fc.nat(5), { maxLength: 2 }),
    }),
    fc.record({ what: fc.constant('end' as const), name: fc.nat(3) }),
    fc.record({
      what: fc.constant('node' as const),
      name: fc.nat(1),
      ips: ipSet.map((all) => all.map((ip) => ip + 3)),
    }),
    fc.record({ what: fc.constant('endNode' as const), name: fc.nat(1) }),
    fc.record({ what: fc.constant('kernel' as const), name: fc.nat(1), ips: ipSet }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const owners = new OwnerRegistry(['api']);
      const api = owners.source('api');
      const declared = (name: number, more: readonly string[] = []) => node(`n${name}`, [`192.168.0.${name}`, ...more]);
      api.replace({ nodes: [declared(0), declared(1)], pods: [], clusterRanges: [] }, 0);
      steps.forEach((it, i) => {
        const reported = 'ips' in it ? it.ips.map((ip) => ips[ip]!) : [];
        if (it.what === 'pod') api.upsertPod(pod(`p${it.name}`, `n${it.name % 2}`, reported), i + 1);
        else if (it.what === 'end') api.endPod(`p${it.name}`, i + 1);
        else if (it.what === 'node') api.upsertNode(declared(it.name, reported), i + 1);
        else if (it.what === 'endNode') api.endNode(`n${it.name}`, i + 1);
        else owners.addNodeAddresses(`n${it.name}`, reported.map(address), i + 1);
      });
      const back = restored(owners.history(steps.length + 1));
      for (const ip of ips)
        for (let from = 0; from <= steps.length + 1; from++)
          for (const length of [1, 3])
            for (const node of ['n0', 'n1'])
              expect(who(back, ip, from, from + length, node)).toBe(who(owners, ip, from, from + length, node));
    }),
    { numRuns: 200 },
  );
});

test('too many times: those that ended longest ago are left out, those that last never', () => {
  const spans = new IpHistory();
  const on: NodeOwner = { kind: 'node', name: 'n', zone: '', region: '' };
  const ipOwner = (name: string): PodOwner => ({ kind: 'pod', namespace: 'ns', name, workload: undefined, node: on });
  const key = addressKey(address('10.0.0.1'));
  const add = (name: string, fromMs: number, toMs: number) =>
    spans.restore(key, { ipOwner: ipOwner(name), evidence: 'declared', fromMs, toMs });
  add('lasts', 0, Number.POSITIVE_INFINITY);
  for (const end of [50, 10, 40, 20, 30]) add(`e${end}`, 0, end);
  const present = { savedMs: 60, sources: [], nodes: [on], declaredBy: () => [], living: () => undefined };
  const history = imageOfIpHistory(spans, present, 3);
  expect(history.pods.map(({ name }) => name).sort()).toEqual(['e40', 'e50', 'lasts']);
  expect(history.leftOut).toBe(3);
  expect(imageOfIpHistory(spans, present, 6).leftOut).toBe(0);
});
