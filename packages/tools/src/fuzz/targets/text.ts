import { readConfig } from '@egressd/exporter/config/load';
import { parseInventory } from '@egressd/exporter/inventory/parse';
import { bytesOf, must, mustEqual, type Target, textOf } from '../target.ts';

/** What YAML itself is made of. */
const YAML = [
  ': ',
  '- ',
  '\n',
  '\n  ',
  '{',
  '}',
  '[',
  ']',
  '&a ',
  '*a',
  '!!int ',
  '|\n',
  '>-\n',
  '"',
  "'",
  '? ',
  '<<: *a',
  '~',
  '---\n',
  '#',
  '\t',
];
const ADDRESSES = ['10.0.0.1', '::1', '::ffff:10.0.0.1', 'fe80::1', '0.0.0.0', '10.0.0.0/8', '::/0', '999.1.1.1'];

const CONFIG_TEXT = `exportInterval: 60s
clusterRanges: [10.0.0.0/8]
metrics: { flows: true }
inventory: inventory.yaml
sinks:
  prom:
    prom_remote_write:
      url: "http://db:8428/api/v1/write"
      headers: { X-Scope-OrgID: 007 }
      labels: { cluster: "\${CLUSTER}" }
      sendReceivedBytesMetric: true
      maxSeries: 1000
  saas:
    http: { url: "https://x/v1", method: POST, compression: gzip, encoding: protobuf, timeout: 30s, headers: { A: "\${KEY}" } }
  otel:
    otlp: { url: "http://x/v1/metrics", resourceAttributes: { a.b: "\${KEY}" }, attributeNames: labels }
  disk:
    file: { path: /tmp/flows.json }
`;

const INVENTORY_TEXT = `clusterRanges: [10.244.0.0/16]
nodes:
  - { name: a, zone: z, region: r, addresses: [10.0.0.1, "fd00::1"] }
pods:
  - { name: web, namespace: shop, node: a, ips: [10.244.1.10], hostNetwork: false }
`;

/** The values that stand for secrets, which no mistake may repeat. */
const SECRET = 'hunter2-secret';

/** The exporter's configuration. */
export const CONFIG: Target = {
  name: 'config',
  about: "the exporter's configuration",
  seeds: () => [bytesOf(CONFIG_TEXT), bytesOf(`podIP: ""\n${CONFIG_TEXT}`), bytesOf('{}'), bytesOf('')],
  words: [
    ...YAML,
    ...CONFIG_TEXT.match(/\w+/g)!,
    ...['KEY', '', 'A'].map((name) => `\${${name}}`),
    '\x24{',
    '60s',
    '1h30m',
    '-1',
    '1e99',
    'http://',
  ],
  run(input) {
    const environment = { CLUSTER: 'c', KEY: SECRET };
    const read = () => readConfig(textOf(input), 'config.yaml', environment);
    const loaded = read();
    if (loaded.ok) {
      must(Number.isFinite(loaded.config.exportIntervalMs), 'an export interval that is no number');
      must(!loaded.shown.includes(SECRET), 'the configuration is shown with a secret');
    } else {
      must(loaded.mistakes.length > 0, 'refused without a reason');
      must(!loaded.mistakes.join('\n').includes(SECRET), 'a mistake repeats a secret');
    }
    mustEqual(loaded, read(), 'read twice, it says different things');
  },
};

/** The inventory file. */
export const INVENTORY: Target = {
  name: 'inventory',
  about: 'the inventory file',
  seeds: () => [bytesOf(INVENTORY_TEXT), bytesOf('nodes: []'), bytesOf('')],
  words: [...YAML, ...ADDRESSES, ...INVENTORY_TEXT.match(/\w+/g)!],
  run(input) {
    const read = parseInventory(textOf(input));
    if (!read.ok) {
      must(read.mistakes.length > 0, 'refused without a reason');
      return;
    }
    const { nodes, pods } = read.state;
    const addresses = [...nodes, ...pods].flatMap((holder) => holder.addresses);
    must(
      addresses.every((bytes) => bytes.length === 16),
      'an address that has not 16 bytes',
    );
    must(new Set(nodes.map(({ name }) => name)).size === nodes.length, 'two nodes of one name');
  },
};
