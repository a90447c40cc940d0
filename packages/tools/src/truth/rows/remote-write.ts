import { allSamples, type ExportedSeries, inOrder } from '@egressd/world/daemons/samples';
import type { Behaviour } from '../faults/receiver.ts';
import { type Context, type Expectation, prove, type Row } from '../row.ts';
import { REFUSED } from './receiver.ts';
import { killOften } from './restarts.ts';

const TIMEOUT = { timeout: '2s' };
const DELTAS = { collectorFlags: ['-send-traffic-delta=true'] };
const SECOND = { protobufMessage: 'io.prometheus.write.v2.Request' };
const AMBIGUOUS = 'egressd_exporter_sink_ambiguous_samples_total';
const DROPPED = 'egressd_dropped_events_total';

/** Until most of what was refused has gone again: the first backoff of a series is a minute. */
const BACKOFF_MS = 45_000;

/** A receiver that behaves as Cortex, Mimir or Prometheus 2.0 do, first badly, then well: with counters, and with deltas. */
function written(
  name: string,
  does: string,
  behaviour: Behaviour,
  met: (context: Context) => Promise<boolean>,
  ms = 15_000,
): Row[] {
  const row = (deltas: boolean): Row => ({
    name: deltas ? `${name}-deltas` : name,
    does: deltas ? `${does} With deltas.` : does,
    with: { receiver: true, ledger: true },
    daemons: { sink: TIMEOUT, ...(deltas ? DELTAS : {}) },
    async fault(context) {
      const { receiver, pause, metric } = context;
      await receiver.behave(behaviour);
      await pause(ms);
      const seen = await receiver.behave('well');
      prove(seen[behaviour] > 0, `no request met a receiver that was ${behaviour}`);
      prove(await met(context), 'the exporter has not noticed');
      await pause(BACKOFF_MS);
      return deltas ? { wrong: () => notInDoubt(metric) } : undefined;
    },
  });
  return [row(false), row(true)];
}

/** Deltas that may have counted twice: in none of these rows. */
async function notInDoubt(metric: Context['metric']): Promise<string | undefined> {
  const doubtful = await metric('exporter', AMBIGUOUS, { outcome: 'refused' });
  return doubtful === 0 ? undefined : `${doubtful} samples are said to be in doubt`;
}

const refusedAlone = async ({ metric }: Context) => (await metric('exporter', DROPPED, REFUSED)) > 0;
const answered =
  (status: string) =>
  async ({ metric }: Context) =>
    (await metric('exporter', 'egressd_exporter_sink_requests_total', { status })) > 0;

/** Export intervals are a second long. */
const GAP_MS = 2500;

/** No rise lies in a gap: `increase` over a window that is shorter would not find it. */
async function noRiseInGaps({ daemons }: Context): Promise<string | undefined> {
  const lines = (await daemons.query(allSamples())).split('\n').filter(Boolean);
  for (const line of lines) {
    const series = JSON.parse(line) as ExportedSeries;
    const values = inOrder(series);
    const times = [...series.timestamps].sort((a, b) => a - b);
    for (let i = 1; i < values.length; i++) {
      const [before, value] = [values[i - 1], values[i]];
      const apart = times[i]! - times[i - 1]!;
      if (typeof before === 'number' && typeof value === 'number' && value > before && apart > GAP_MS)
        return `a rise of ${value - before} lies in a gap of ${apart} ms: ${line.slice(0, 300)}`;
    }
  }
  return undefined;
}

const withoutRiseInGaps = (context: Context): Expectation => ({ wrong: () => noRiseInGaps(context) });

export const WRITE_ROWS: readonly Row[] = [
  ...written(
    'write-part-kept',
    'Remote write: one destination is refused by a 400, and the other series of the request are stored (Cortex).',
    'keeping',
    refusedAlone,
  ),
  ...written(
    'write-limit',
    'Remote write: a limit of series is met and lifted: half of them are refused by a 400, the others stored.',
    'limited',
    refusedAlone,
  ),
  ...written(
    'write-burst',
    'Remote write: a request with more than seven samples is never taken (429).',
    'bursting',
    answered('429'),
    25_000,
  ),
  ...written(
    'write-thrown-away',
    'Remote write: requests are thrown away with a 202, as those of another replica.',
    'replica',
    answered('202'),
  ),
  ...written(
    'write-poisoned',
    'Remote write: for four minutes requests with one destination are answered with 500.',
    'poisoned',
    refusedAlone,
    240_000,
  ),
  {
    name: 'write-2',
    does: 'Remote write 2.0: a receiver that follows the specification keeps the good part of a request.',
    with: { receiver: true, ledger: true, second: true },
    daemons: { sink: { ...TIMEOUT, ...SECOND } },
    async fault(context) {
      const { receiver, pause } = context;
      await receiver.behave('keeping');
      await pause(12_000);
      await receiver.behave('well');
      prove(await refusedAlone(context), 'no series was refused alone');
      await pause(BACKOFF_MS);
      return undefined;
    },
  },
  {
    name: 'write-2-unknown',
    does: 'Remote write 2.0: the receiver knows only 1.0: it answers 204, and stores nothing.',
    daemons: { sink: SECOND },
    async fault({ pause, metric }) {
      await pause(5000);
      const rejected = await metric('exporter', 'egressd_exporter_sink_requests_total', { outcome: 'rejected' });
      prove(rejected > 0, 'it was not noticed');
      return undefined;
    },
  },
  {
    name: 'write-gap',
    does: 'The receiver is away for ten export intervals: what was counted meanwhile lies in the first window after it.',
    with: { receiver: true },
    daemons: { sink: TIMEOUT },
    async fault(context) {
      await context.receiver.behave('down');
      await context.pause(10_000);
      await context.receiver.behave('well');
      return withoutRiseInGaps(context);
    },
  },
  {
    name: 'write-gap-exporter',
    does: 'The exporter is away for ten export intervals, with its state directory: likewise.',
    daemons: { stateDirectories: true },
    async fault(context) {
      const { daemons, pause } = context;
      await daemons.exporter.end('SIGKILL');
      await pause(10_000);
      await daemons.exporter.start();
      return withoutRiseInGaps(context);
    },
  },
  {
    name: 'write-deduplicated',
    does: 'The database keeps one sample a second, and the exporter is killed at random moments, with its state directory.',
    daemons: { stateDirectories: true, databaseFlags: ['-dedup.minScrapeInterval=1s'] },
    async fault(context) {
      await killOften(context.daemons.exporter, 4, context);
      return undefined;
    },
  },
];
