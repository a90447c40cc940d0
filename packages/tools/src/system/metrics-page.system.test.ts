import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Daemons, readMetrics, startDaemons } from '@egressd/world/daemons/daemons';
import { NODES, OPS, PODS, TCP_PORT } from '@egressd/world/network/layout';
import { openWorld, type World } from '@egressd/world/network/world';
import { until } from '@egressd/world/observe';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

const BINARIES = fileURLToPath(new URL('../../../../.lab/debian/usr/bin/', import.meta.url));
const PROMETHEUS = '127.0.0.1:9090';
/** Both daemons as Prometheus scrapes them, by job. */
const TARGETS = {
  exporter: ['127.0.0.1:6060'],
  collector: NODES.map(({ address }) => `${address.v4}:8008`),
};

let world: World;
let daemons: Daemons;

beforeAll(async () => {
  world = await openWorld();
  daemons = await startDaemons(world, {
    owners: 'inventory',
    stateDirectories: true,
    settings: { metrics: { flows: true } },
  });
  const to = PODS[3]!.address.v4;
  const transfer = { do: 'tcp', to, port: TCP_PORT, up: 10, down: 20, connections: 1, parallel: 1 } as const;
  await world.agent(PODS[0]!.name).order(transfer);
  await until('traffic at /metrics', async () =>
    (await readMetrics(world, 'exporter')).includes('egressd_transmit_bytes_total{'),
  );
});

afterAll(async () => {
  await daemons?.stop();
  await world?.close();
});

test.each(['exporter', ...NODES.map(({ name }) => name)])(
  'promtool has nothing to say of the metrics of %s',
  async (name) => {
    const input = await readMetrics(world, name);
    expect(input).toContain('egressd_build_info');
    const { status, stdout, stderr } = spawnSync(join(BINARIES, 'promtool'), ['check', 'metrics'], {
      input,
      encoding: 'utf8',
    });
    expect({ status, says: stdout + stderr }).toEqual({ status: 0, says: '' });
  },
);

describe('Prometheus', () => {
  beforeAll(async () => {
    const config = {
      global: { scrape_interval: '1s' },
      scrape_configs: Object.entries(TARGETS).map(([job, targets]) => ({
        job_name: job,
        static_configs: [{ targets }],
      })),
    };
    const file = join(world.folder, 'prometheus.yml');
    await writeFile(file, JSON.stringify(config));
    const flags = [`--config.file=${file}`, `--storage.tsdb.path=${join(world.folder, 'tsdb')}`];
    world.spawn(OPS.name, join(BINARIES, 'prometheus'), [...flags, `--web.listen-address=${PROMETHEUS}`]);
    const scraped = 'count(scrape_samples_scraped > 0) == 3';
    await until('three scrapes', async () => (await query(scraped).catch(() => [])).length > 0, 30_000);
  }, 60_000);

  async function get<T>(path: string): Promise<T> {
    const { status, body = '' } = await world.agent(OPS.name).order({ do: 'http', url: `http://${PROMETHEUS}${path}` });
    if (status !== 200) throw new Error(`${status} ${body}`);
    return (JSON.parse(body) as { data: T }).data;
  }
  async function query(expression: string): Promise<[job: string | undefined, value: string][]> {
    const path = `/api/v1/query?query=${encodeURIComponent(expression)}`;
    const { result } = await get<{ result: { metric: Record<string, string>; value: [number, string] }[] }>(path);
    return result.map(({ metric, value }) => [metric.job, value[1]]);
  }

  test('scrapes both daemons', async () => {
    expect(await query('sum by (job) (up)')).toEqual([
      ['collector', '2'],
      ['exporter', '1'],
    ]);
  });

  test('reads OpenMetrics: counters are described without _total', async () => {
    for (const name of ['egressd_collector_conntrack_reads', 'egressd_transmit_bytes']) {
      const described = await get<object>(`/api/v1/metadata?metric=${name}`);
      expect(described).toMatchObject({ [name]: [{ type: 'counter', help: expect.stringMatching(/\w/) }] });
    }
  });

  test.each([
    ['collector', 'egressd_collector_conntrack_reads_total{result="complete"} > 0'],
    ['collector', 'nodejs_eventloop_active_seconds_total > 0'],
    ['exporter', 'egressd_exporter_receiver_streams == 2'],
    ['exporter', 'egressd_transmit_bytes_total{src_pod="web-1",dst_pod="web-2"} > 0'],
    ['exporter', 'egressd_received_bytes_total{src_pod="web-1",dst_pod="web-2"} > 0'],
  ])('%s: has %s', async (job, expression) => {
    expect((await query(expression))[0]?.[0]).toBe(job);
  });
});
