import { prove, type Row } from '../row.ts';

const HOUR_S = 3600;
/** Where the clock is put, one after the other: back, ahead, a little, and right again. */
const SHIFTS_S = [-HOUR_S, HOUR_S, -30, 30, -2 * HOUR_S, 0];
const EACH_MS = 4000;

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
];
