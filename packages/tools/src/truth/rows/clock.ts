import { NODES } from '@egressd/world/network/layout';
import { type Context, prove, type Row } from '../row.ts';
import { SHORT_TIMEOUTS } from '../short-timeouts.ts';

const HOUR_S = 3600;
/** Where the clock is put, one after the other: back, ahead, a little, and right again. */
const SHIFTS_S = [-HOUR_S, HOUR_S, -30, 30, -2 * HOUR_S, 0];
const EACH_MS = 4000;
const STEPS = 'egressd_collector_clock_steps_total';

/** Several reads with the clock put right. */
const AFTER_MS = 12_000;
/** Longer than a connection lives. */
const SELDOM = '5s';

/** Puts the daemons' clock right before any traffic: the kernel's start times are all on the other side of the collectors' first reads. */
async function putRight({ clock, pause, collectors }: Context): Promise<void> {
  await clock.shift(0);
  for (let i = 0; i < 30 && (await collectors(STEPS)) < NODES.length; i++) await pause(500);
  prove((await collectors(STEPS)) === NODES.length, 'the collectors have not noticed the step');
}

/** The clock was off as the daemons started, and is put right after that. Most connections end before a read sees them. */
function putRightAfterStart(name: string, does: string, offBy: number): Row {
  return {
    name,
    does,
    ...notBeforeCertificates(offBy),
    daemons: { readInterval: SELDOM },
    with: { clock: true, clockOffBy: offBy, ...SHORT_TIMEOUTS },
    before: putRight,
    fault: async ({ pause }) => void (await pause(AFTER_MS)),
  };
}

/** In the overlay world daemons show certificates, and by a clock that is behind those are not valid yet. */
function notBeforeCertificates(offBy: number): Pick<Row, 'worlds'> {
  return offBy < 0 ? { worlds: ['routed', 'zones', 'dual'] } : {};
}

const OFF = 'egressd_exporter_clock_off_seconds';
const SKEWED = 'egressd_exporter_receiver_batch_clock_skew_total';

/** Waits until the exporter has found its own clock off by so much. */
async function provedOff({ pause, metric }: Context, seconds: number): Promise<void> {
  const off = () => metric('exporter', OFF);
  for (let i = 0; i < 30 && Math.abs((await off()) - seconds) > 1; i++) await pause(500);
  prove(Math.abs((await off()) - seconds) <= 1, `the exporter shows ${await off()} s`);
}

/** No node is said to be off where the exporter is. */
const noNodeBlamed = ({ metric }: Context) => ({
  wrong: async () => ((await metric('exporter', SKEWED)) > 0 ? 'nodes were said to be off' : undefined),
});

/** Only the exporter's clock is off, as it starts and for good. */
function exporterOff(name: string, does: string, offBy: number): Row {
  return {
    name,
    does,
    ...notBeforeCertificates(offBy),
    with: { clock: true, clockOf: 'exporter', clockOffBy: offBy },
    async fault(context) {
      await provedOff(context, offBy);
      await context.pause(EACH_MS);
      return noNodeBlamed(context);
    },
  };
}

/** Only the clock of node-a is off: its batches come from another time. */
function nodeOff(name: string, does: string, offBy: number): Row {
  const node = NODES[0]!.name;
  return {
    name,
    does,
    ...notBeforeCertificates(offBy),
    with: { clock: true, clockOf: node, clockOffBy: offBy },
    async fault({ pause, metric }) {
      // It waits a minute for other nodes, which would show that it is the exporter's.
      for (let i = 0; i < 160 && (await metric('exporter', SKEWED)) === 0; i++) await pause(500);
      prove((await metric('exporter', SKEWED)) > 0, 'the exporter has not noticed');
      await pause(EACH_MS);
      const off = await metric('exporter', OFF);
      return { wrong: async () => (off === 0 ? undefined : `the exporter says that its own clock is off by ${off} s`) };
    },
  };
}

export const CLOCK_ROWS: readonly Row[] = [
  {
    name: 'clock',
    does: "The daemons' clock is set back and forth, by up to three hours; the machine's own is not touched.",
    with: { clock: true },
    async fault({ clock, pause, metric, random }) {
      for (const seconds of SHIFTS_S) {
        await clock.shift(seconds);
        await pause(EACH_MS + random.between(0, 1000));
        const heard = await metric('exporter', 'process_start_time_seconds');
        prove(heard > 0, 'the exporter does not answer');
      }
    },
  },
  putRightAfterStart(
    'clock-ahead-at-start',
    'All daemons start with a clock that is an hour ahead; it is put right.',
    HOUR_S,
  ),
  putRightAfterStart(
    'clock-behind-at-start',
    'All daemons start with a clock that is an hour behind; it is put right.',
    -HOUR_S,
  ),
  {
    name: 'exporter-clock',
    does: "Only the exporter's clock is set back and forth, by up to three hours: no node is said to be off.",
    with: { clock: true, clockOf: 'exporter' },
    async fault(context) {
      for (const seconds of SHIFTS_S) {
        await context.clock.shift(seconds);
        // What is less than a minute is not looked at.
        await provedOff(context, Math.abs(seconds) < 60 ? 0 : seconds);
      }
      return noNodeBlamed(context);
    },
  },
  exporterOff('exporter-clock-ahead', "The exporter's clock is an hour ahead, as it starts and for good.", HOUR_S),
  exporterOff('exporter-clock-behind', "The exporter's clock is an hour behind, as it starts and for good.", -HOUR_S),
  nodeOff('node-clock-ahead', "One node's clock is an hour ahead for good.", HOUR_S),
  nodeOff('node-clock-behind', "One node's clock is an hour behind for good.", -HOUR_S),
];
