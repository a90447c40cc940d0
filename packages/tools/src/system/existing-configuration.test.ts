import { EventEmitter } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { freezeBatch } from '@egressd/collector/state/frozen-batch';
import { Lifecycle } from '@egressd/daemon/lifecycle';
import { readConfig } from '@egressd/exporter/config/load';
import { parseExporterFlags } from '@egressd/exporter/flags';
import { decodeBatch } from '@egressd/exporter/sinks/items/testing';
import { startExporter } from '@egressd/exporter/start/start';
import { parseAddress } from '@egressd/flow/address';
import { emptyColumns } from '@egressd/flow/columns';
import { KeptLog, until } from '@egressd/world/observe';
import { decodeWrite, status, TestReceiver } from '@egressd/world/receivers/test-receiver';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { CollectorEnd } from './stream-ends.ts';

/** The configurations that users have, word for word. */
const TESTDATA = join(import.meta.dirname, '../../../exporter/src/config/testdata');
const GOLDEN = join(import.meta.dirname, 'testdata/existing-configuration.txt');

const INVENTORY = `
nodes:
  - { name: node-a, zone: zone-a, region: region-1, addresses: [192.0.2.1] }
  - { name: node-b, zone: zone-b, region: region-1, addresses: [192.0.2.2] }
pods:
  - { name: front, namespace: shop, node: node-a, ips: [10.1.0.1] }
  - { name: cart, namespace: shop, node: node-b, ips: [10.1.0.2] }
  - { name: dns, namespace: kube-system, node: node-a, ips: [10.1.0.3] }
`;

/** Source, destination, protocol, and four counters: tx bytes and packets, rx bytes and packets. */
type Row = readonly [string, string, number, number, number, number, number];

let folder: string;
let receiver: TestReceiver;
const closers: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'egressd-existing-'));
  writeFileSync(join(folder, 'inventory.yaml'), INVENTORY);
  receiver = await TestReceiver.start(status(200, {}, '{}'));
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await receiver.close();
  rmSync(folder, { recursive: true });
});

/** A configuration as it stands in the repository, with its hosts replaced by this machine. */
function existing(name: string): string {
  const text = readFileSync(join(TESTDATA, name), 'utf8');
  return text.replace(/https?:\/\/[\w.-]+(:\d+)?/g, `http://127.0.0.1:${receiver.port}`);
}

/** An exporter with this configuration, and one collector. */
async function start(configuration: string, sendTrafficDelta?: boolean) {
  const environment = { CLUSTER_ID: 'c-1', API_KEY: 'key', EXPORT_INTERVAL: '100ms' };
  const loaded = readConfig(configuration, join(folder, 'config.yaml'), environment);
  if (!loaded.ok) throw new Error(loaded.mistakes.join('\n'));
  const flags = parseExporterFlags(['-grpc-listen-port=0', '-http-listen-port=0'], {});
  if (flags.kind !== 'values') throw new Error('the flags are wrong');
  const { log, lines } = new KeptLog();
  const host = Object.assign(new EventEmitter(), { exit: () => host.emit('exited') });
  const lifecycle = new Lifecycle(log, host);
  const config = { ...loaded.config, inventory: join(folder, 'inventory.yaml') };
  await lifecycle.start(() => startExporter({ flags: flags.values, config, environment, log, lifecycle }));
  closers.push(() => {
    lifecycle.stop('the test is over');
    return new Promise((resolve) => host.once('exited', resolve));
  });
  const port = /collectors="?127\.0\.0\.1:(\d+)/.exec(lines.join('\n'))?.[1];
  const collector = new CollectorEnd(Number(port), {
    settings: { excludeNamespaces: ['kube-system'], groupPublicIps: true, sendTrafficDelta },
  });
  closers.push(() => collector[Symbol.asyncDispose]());
  let number = 0;
  return async (...rows: Row[]) => {
    const addresses = [...new Set(rows.flatMap(([source, destination]) => [source, destination]))];
    const columns = emptyColumns(rows.length, addresses.length);
    for (const [i, address] of addresses.entries()) columns.addresses.set(parseAddress(address)!, 16 * i);
    for (const [row, [source, destination, protocol, ...counters]] of rows.entries()) {
      columns.source[row] = addresses.indexOf(source);
      columns.destination[row] = addresses.indexOf(destination);
      columns.protocol[row] = protocol;
      [columns.txBytes[row], columns.txPackets[row], columns.rxBytes[row], columns.rxPackets[row]] = counters;
    }
    const now = Date.now();
    collector.stream.send(freezeBatch({ number: ++number, fromMs: now - 1, toMs: now }, columns, now));
    await until('the sinks have it', () => collector.outbox.length === 0);
  };
}

test('what the SaaS gets is what it has always got', async () => {
  const send = await start(existing('saas.yaml'));
  await send(
    ['10.1.0.1', '10.1.0.2', 6, 1500, 3, 40, 1],
    // Opened by the other end: turned round, and added.
    ['10.1.0.2', '10.1.0.1', 6, 7, 1, 500, 1],
    ['10.1.0.1', '198.51.100.9', 17, 100, 1, 0, 0],
    ['10.1.0.1', '198.51.100.10', 17, 23, 1, 0, 0],
    ['10.1.0.1', '2001:db8::1', 58, 64, 1, 64, 1],
    // A namespace that is left out, and a pod that is another node's.
    ['10.1.0.3', '10.1.0.2', 17, 99, 9, 99, 9],
    ['10.1.0.2', '198.51.100.9', 6, 77, 7, 77, 7],
  );
  await send(['10.1.0.1', '10.1.0.2', 6, 10, 1, 0, 0]);
  const [first, second, ...others] = receiver.requests;
  expect(others).toEqual([]);
  for (const request of [first, second]) {
    expect(request).toMatchObject({ method: 'POST', url: '/v1/kubernetes/clusters/c-1/egressd-metrics' });
    expect(request!.headers).toMatchObject({
      'content-type': 'application/protobuf',
      'content-encoding': 'gzip',
      'user-agent': expect.stringMatching(/^castai-egressd\/\d/),
      'x-api-key': 'key',
    });
  }
  // UPDATE_GOLDEN=1 rewrites the file.
  const text = [first, second].map((request) => printBody(gunzipSync(request!.body))).join('\n');
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(GOLDEN, text);
  expect(text).toBe(readFileSync(GOLDEN, 'utf8'));
});

/** A body as the items in it and its bytes. */
function printBody(body: Buffer): string {
  const items = decodeBatch(body).map((item) => {
    const known = Object.entries(item).filter(([, value]) => value !== '');
    return `${known.map(([name, value]) => `${name}=${value}`).join(' ')}\n`;
  });
  return items.join('') + body.toString('hex').replace(/.{1,120}/g, '  $&\n');
}

describe('send-traffic-delta', () => {
  /** What both receivers hold of `txBytes`, each value once. */
  function values() {
    const http: number[] = [];
    const remoteWrite: number[] = [];
    for (const request of receiver.requests) {
      if (request.url.startsWith('/v1/'))
        http.push(...decodeBatch(gunzipSync(request.body)).map((item) => Number(item.tx_bytes)));
      else
        remoteWrite.push(
          ...decodeWrite(request).timeseries.flatMap(({ samples }) => samples.map(({ value }) => value)),
        );
    }
    return { http: [...new Set(http)], remoteWrite: [...new Set(remoteWrite)] };
  }

  const [deltas, counters] = [
    [100, 50],
    [100, 150],
  ];

  test.each([
    [undefined, deltas, [0, ...counters]],
    [true, deltas, deltas],
    [false, counters, [0, ...counters]],
  ])('%p', async (sendTrafficDelta, http, remoteWrite) => {
    const [saas, prometheus] = [existing('saas.yaml'), existing('prometheus.yaml')];
    const both = saas + prometheus.slice(prometheus.indexOf('  prom_sink:'));
    const send = await start(both, sendTrafficDelta);
    await send(['10.1.0.1', '10.1.0.2', 6, 100, 1, 40, 1]);
    await send(['10.1.0.1', '10.1.0.2', 6, 50, 1, 40, 1]);
    expect(values()).toEqual({ http, remoteWrite });
  });
});
