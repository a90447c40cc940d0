import type { LinkFault } from '../faults/link.ts';
import { prove, type Row } from '../row.ts';

/** Longer than the stream takes to notice that there is no answer. */
const CUT_MS = 12_000;

/** A link that is only slow, or lossy, hits so many packets at least. */
const LEAST_HITS = 20;

/** A collector whose stream was broken backs off for some seconds: so long a fault waits for its first packet. */
const MOST_WAITS = 40;
const MAX_PENDING_MS = 500;

/** Breaks the link while the collectors read on, and mends it. */
function broken(fault: LinkFault, ms: number, times = 1): Row['fault'] {
  return async ({ link, pause, random }) => {
    for (let i = 0; i < times; i++) {
      await link.break(fault);
      await pause(ms);
      const least = times > 1 ? 1 : LEAST_HITS;
      for (let waits = 0; waits < MOST_WAITS && (await link.hits()) < least; waits++) await pause(MAX_PENDING_MS);
      const hit = await link.hits();
      await link.mend();
      prove(hit >= least, `the link was ${fault}, and that hit ${hit} packets`);
      await pause(random.between(500, 3000));
    }
  };
}

export const LINK_ROWS: readonly Row[] = [
  {
    name: 'link-cut',
    ebpf: 'all',
    does: 'All packets between collectors and exporter are dropped, twice for twelve seconds.',
    fault: broken('cut', CUT_MS, 2),
  },
  {
    name: 'link-reset',
    does: 'Every connection between collectors and exporter is reset, four times.',
    quick: true,
    fault: broken('reset', 1500, 4),
  },
  {
    name: 'link-slow',
    does: 'The link carries half a kilobyte a second, for twenty seconds.',
    fault: broken('slow', 20_000),
  },
  {
    name: 'link-lossy',
    does: 'Three packets of ten are lost in both directions, for twenty seconds.',
    fault: broken('lossy', 20_000),
  },
  {
    name: 'link-half-open',
    does: 'Packets of the exporter are dropped, those of the collectors arrive, twice for twelve seconds.',
    fault: broken('half-open', CUT_MS, 2),
  },
];
