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
    daemons: { readInterval: SELDOM },
    with: { clock: true, clockOffBy: offBy, ...SHORT_TIMEOUTS },
    before: putRight,
    fault: async ({ pause }) => void (await pause(AFTER_MS)),
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
];
