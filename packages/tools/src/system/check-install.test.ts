import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freezeBatch } from '@egressd/collector/state/frozen-batch';
import { Lifecycle } from '@egressd/daemon/lifecycle';
import { checkInstall } from '@egressd/exporter/check-install/check';
import { readConfig } from '@egressd/exporter/config/load';
import { parseExporterFlags } from '@egressd/exporter/flags';
import { startExporter } from '@egressd/exporter/start/start';
import { parseAddress } from '@egressd/flow/address';
import { emptyColumns } from '@egressd/flow/columns';
import { KeptLog } from '@egressd/world/observe';
import { expect, test } from '@jest/globals';
import { CollectorEnd } from './stream-ends.ts';

const INVENTORY = `
nodes: [{ name: node-a, addresses: [192.0.2.1] }]
pods: [{ name: web, namespace: shop, node: node-a, ips: [10.1.0.1] }]
`;

/** A whole exporter without sinks. @returns its ports, and how it is stopped */
async function start(folder: string) {
  writeFileSync(join(folder, 'inventory.yaml'), INVENTORY);
  const loaded = readConfig('inventory: inventory.yaml', join(folder, 'config.yaml'), {});
  const flags = parseExporterFlags(['-grpc-listen-port=0', '-http-listen-port=0'], {});
  if (!loaded.ok || flags.kind !== 'values') throw new Error('the configuration is wrong');
  const { log, lines } = new KeptLog();
  const host = Object.assign(new EventEmitter(), { exit: () => host.emit('exited') });
  const lifecycle = new Lifecycle(log, host);
  const { config } = loaded;
  await lifecycle.start(() => startExporter({ flags: flags.values, config, environment: {}, log, lifecycle }));
  const [, grpc, http] = /collectors="?127\.0\.0\.1:(\d+)"? http=(\d+)/.exec(lines.join('\n')) ?? [];
  const stop = () => {
    const exited = new Promise((resolve) => host.once('exited', resolve));
    lifecycle.stop('the test is over');
    return exited;
  };
  return { grpc: Number(grpc), url: `http://127.0.0.1:${http}/metrics`, stop };
}

test('an exporter is well when a collector streams and flows come, and not before', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'egressd-check-'));
  const exporter = await start(folder);
  const collector = new CollectorEnd(exporter.grpc);
  try {
    const columns = emptyColumns(1, 2);
    columns.addresses.set(parseAddress('10.1.0.1')!, 0);
    columns.addresses.set(parseAddress('198.51.100.1')!, 16);
    columns.destination[0] = 1;
    columns.txBytes[0] = 100;
    const idle = await checkInstall({ url: exporter.url, timeoutMs: 0, intervalMs: 1 });
    expect(idle.ok).toBe(false);
    const checking = checkInstall({ url: exporter.url, timeoutMs: 20_000, intervalMs: 5 });
    let stopped = false;
    const sending = (async () => {
      for (let number = 1; !stopped; number++) {
        const now = Date.now();
        collector.stream.send(freezeBatch({ number, fromMs: now - 1, toMs: now }, columns, now));
        await sleep(10);
      }
    })();
    const verdict = await checking;
    stopped = true;
    await sending;
    expect(verdict.lines).toEqual([
      'ok: collectors that stream to the exporter: 1, nodes that it knows: 1',
      expect.stringMatching(/^ok: counters increase: batches \+\d+, flows \+\d+$/),
    ]);
  } finally {
    await collector[Symbol.asyncDispose]();
    await exporter.stop();
    rmSync(folder, { recursive: true });
  }
});
