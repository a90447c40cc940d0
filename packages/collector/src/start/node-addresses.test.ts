import { setTimeout as pause } from 'node:timers/promises';
import { createLog } from '@egressd/daemon/log';
import { expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { followNodeAddresses } from './node-addresses.ts';

const ADDRESS = new Uint8Array(16).fill(7);

test('the last known addresses stay where a read fails, and that is logged and counted', async () => {
  const answers: (() => Uint8Array[])[] = [() => [ADDRESS]];
  let asked = 0;
  const nodeAddresses = async () => {
    asked++;
    const answer = answers.shift();
    if (answer === undefined) throw new Error('the kernel broke off a dump: EINVAL');
    return answer();
  };
  const lines: string[] = [];
  const registry = new Registry();
  const log = createLog('warn', (line) => lines.push(line));
  const addresses = await followNodeAddresses({ source: { nodeAddresses }, log, registry, intervalMs: 1 });
  while (asked < 3) await pause(1);
  expect(addresses.now()).toEqual([ADDRESS]);
  expect(lines[0]).toMatch(
    /msg="cannot read node addresses, the last known ones stay" error="Error: the kernel broke off a dump: EINVAL"/,
  );
  expect(await registry.metrics()).toMatch(/egressd_collector_node_address_read_failures_total [1-9]/);
  answers.push(() => []);
  while (addresses.now().length > 0) await pause(1);
  addresses.stop();
});
