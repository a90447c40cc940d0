import { formatAddress } from '@egressd/flow/address';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseInventory } from './parse.ts';

const GOOD = `
clusterRanges: [10.0.0.0/8, 'fd00:10::/32']
nodes:
  - {name: n1, zone: z1, region: r, addresses: [192.168.0.1, 'fd00::1']}
  - {name: n2}
pods:
  - {name: a, namespace: shop, node: n1, ips: [10.0.0.1, 'fd00:10::1']}
  - {name: agent, namespace: kube-system, node: n1, ips: [192.168.0.1], hostNetwork: true}
  - {name: agent, namespace: other, node: n2, ips: [], hostNetwork: true}
`;

function mistakes(text: string): readonly string[] {
  const read = parseInventory(text);
  return read.ok ? [] : read.mistakes;
}

test('a good one', () => {
  const read = parseInventory(GOOD);
  if (!read.ok) throw new Error(read.mistakes.join('\n'));
  const { nodes, pods, clusterRanges } = read.state;
  expect(nodes.map(({ name, zone, region }) => [name, zone, region])).toEqual([
    ['n1', 'z1', 'r'],
    ['n2', '', ''],
  ]);
  expect(nodes[0]!.addresses.map((bytes) => formatAddress(bytes))).toEqual(['192.168.0.1', 'fd00::1']);
  expect(pods.map(({ key, node, hostNetwork }) => [key, node, hostNetwork])).toEqual([
    ['shop/a', 'n1', false],
    ['kube-system/agent', 'n1', true],
    ['other/agent', 'n2', true],
  ]);
  expect(pods[0]!.addresses.map((bytes) => formatAddress(bytes))).toEqual(['10.0.0.1', 'fd00:10::1']);
  expect(clusterRanges.map(({ bits }) => bits)).toEqual([104, 32]);
});

test.each(['nodes: []\n', '{}'])('no entries in %j', (text) => {
  expect(parseInventory(text)).toEqual({ ok: true, state: { nodes: [], pods: [], clusterRanges: [] } });
});

describe('mistakes', () => {
  const pods = (...list: string[]) =>
    `nodes:\n  - {name: n, addresses: [192.168.0.1]}\npods:\n  - ${list.join('\n  - ')}\n`;
  test.each<[string, string[]]>([
    ['', ['is empty; for no nodes and no pods write nodes: []']],
    ['# later\n', ['is empty; for no nodes and no pods write nodes: []']],
    ['- a', ['line 1: expected a map of settings, found a list']],
    ['node: []', ['line 1: node: unknown setting, did you mean nodes?']],
    ['nodes: {}', ['line 1: nodes: expected a list, found a map']],
    [
      'nodes:\n - {nam: x}',
      [
        'line 2: nodes[0].name: expected text, found nothing',
        'line 2: nodes[0].nam: unknown setting, did you mean name?',
      ],
    ],
    ['nodes:\n - {name: a}\n - {name: a}', ['line 3: nodes[1].name: nodes[0] has that name already']],
    [
      'nodes:\n - {name: a, addresses: [10.0.0]}',
      ['line 2: nodes[0].addresses[0]: expected an IP address such as 10.0.0.1, found "10.0.0"'],
    ],
    [
      'nodes:\n - {name: a, addresses: [10.0.0.1/8]}',
      ['line 2: nodes[0].addresses[0]: expected an IP address such as 10.0.0.1, found "10.0.0.1/8"'],
    ],
    [
      'nodes:\n - {name: a, addresses: ["::"]}',
      ['line 2: nodes[0].addresses[0]: expected an IP address such as 10.0.0.1, found "::", the unspecified address'],
    ],
    [
      'nodes:\n - {name: a, addresses: [10.0.0.1]}\n - {name: b, addresses: ["::ffff:10.0.0.1"]}',
      ['line 3: nodes[1].addresses[0]: nodes[0] has 10.0.0.1 already'],
    ],
    [
      'clusterRanges: [10.0.0.0/33]',
      ['line 1: clusterRanges[0]: expected a range of addresses such as 10.0.0.0/8, found "10.0.0.0/33"'],
    ],
    [
      pods('{name: a, namespace: s, node: m, ips: [10.0.0.1]}'),
      ['line 4: pods[0].node: there is no node "m" under nodes'],
    ],
    [
      pods('{name: a, namespace: s, node: n, ips: [10.0.0.1]}', '{name: b, namespace: s, node: n, ips: [10.0.0.1]}'),
      ['line 5: pods[1].ips[0]: pods[0] has 10.0.0.1 already'],
    ],
    [
      pods('{name: a, namespace: s, node: n, ips: [192.168.0.1]}'),
      ['line 4: pods[0].ips[0]: nodes[0] has 192.168.0.1 already; a pod on its network needs hostNetwork: true'],
    ],
    [
      pods('{name: a, namespace: s, node: n, hostNetwork: yes please}'),
      ['line 4: pods[0].hostNetwork: expected true or false, found text'],
    ],
    [
      pods('{name: a, namespace: s, node: n}', '{name: a, namespace: t, node: n}', '{name: a, namespace: s, node: n}'),
      ['line 6: pods[2].name: pods[0] has that name already'],
    ],
    [
      pods('{name: "", namespace: s, node: m, ips: [x]}', '{namespace: 7, name: b, node: n}'),
      [
        'line 4: pods[0].name: expected at least 1 characters',
        'line 4: pods[0].ips[0]: expected an IP address such as 10.0.0.1, found "x"',
        'line 5: pods[1].namespace: expected text, found a number',
        'line 4: pods[0].node: there is no node "m" under nodes',
      ],
    ],
    [
      pods('{name: ~other, namespace: "~other", node: n}'),
      [
        'line 4: pods[0].name: names that begin with ~ are reserved, such as ~other',
        'line 4: pods[0].namespace: names that begin with ~ are reserved, such as ~other',
      ],
    ],
    ['nodes:\n - {name: ~a}', ['line 2: nodes[0].name: names that begin with ~ are reserved, such as ~other']],
    [
      'nodes:\n - {name: a, zone: "\u202eb"}',
      ['line 2: nodes[0].zone: has characters that cannot be seen: "\\u202eb"'],
    ],
  ])('%j', (text, expected) => {
    expect(mistakes(text)).toEqual(expected);
  });

  test.each([
    ['a: &a [*a]', 'line 1, column 8: an alias is within what it refers to: write the value out'],
    [
      'nodes: &a\n - {name: x, addresses: *a}',
      'line 2, column 25: an alias is within what it refers to: write the value out',
    ],
    ['nodes: []\nnodes: []', 'line 2, column 1: Map keys must be unique'],
    ['['.repeat(20_000), 'is nested too deeply'],
  ])('of its structure: %.40j', (text, expected) => {
    expect(mistakes(text)).toContain(expected);
  });

  test('many of them, and of a megabyte, are found as fast as few', () => {
    const unknown = Array.from({ length: 20_000 }, (_, i) => `unknown${i}: 1\n`).join('');
    const long = `? ${'k'.repeat(1_000_000)}\n: 1\n`;
    const anchors = Array.from({ length: 5000 }, (_, i) => `a${i}: &a${i} [${i === 0 ? '' : `*a${i - 1}`}]\n`).join('');
    const began = performance.now();
    expect(mistakes(unknown)).toHaveLength(20_000);
    expect(mistakes(long)[0]).toMatch(/^line 1: \["k{253}\.\.\. \(999747 more characters\)"\]: unknown setting/);
    expect(mistakes(anchors)[0]).toMatch(/more than 1000 aliases: write the values out$/);
    // A second on a quiet machine: comparing each with each took most of a minute.
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  test('of the YAML itself', () => {
    expect(mistakes('nodes: [')[0]).toMatch(/^line 1, column 9: /);
  });
});

test('any text is parsed, or every mistake is a line', () => {
  const name = fc.constantFrom('a', 'b', '', 7, null, ['a'], {});
  const ip = fc.constantFrom('10.0.0.1', 'fd00::1', '::', 'x', 7, null);
  const entry = fc.record(
    {
      name,
      zone: name,
      namespace: name,
      node: name,
      hostNetwork: fc.constantFrom(true, false, 'x'),
      addresses: fc.array(ip),
      ips: fc.array(ip),
    },
    { requiredKeys: [] },
  );
  const list = fc.oneof(fc.array(fc.oneof(entry, fc.anything())), fc.anything());
  const inventory = fc.record(
    { nodes: list, pods: list, clusterRanges: list, other: fc.anything() },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(inventory, (value) => {
      const text = JSON.stringify(value, (_, it) => (typeof it === 'bigint' ? String(it) : it));
      const read = parseInventory(text);
      if (!read.ok) {
        expect(read.mistakes.length).toBeGreaterThan(0);
        for (const line of read.mistakes) expect(line).toMatch(/^line 1(:|, column)|^is empty/);
      }
    }),
  );
});
