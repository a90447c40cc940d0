import type { Behaviour } from '../faults/receiver.ts';
import { type Context, prove, type Row } from '../row.ts';

/** Ten export intervals. */
const TEN_INTERVALS_MS = 10_000;
/** For a request: a receiver that does not respond is not waited for long. */
const TIMEOUT = { timeout: '2s' };
/** Of the series that were refused alone: they go again later. */
export const REFUSED = { reason: 'refused' };

/** The receiver behaves badly, then well again. */
export function behaving(behaviour: Behaviour, ms: number): Pick<Row, 'with' | 'daemons' | 'fault'> {
  return {
    with: { receiver: true },
    daemons: { sink: TIMEOUT },
    async fault({ receiver, pause, metric }: Context) {
      await receiver.behave(behaviour);
      await pause(ms);
      const met = await receiver.behave('well');
      if (behaviour === 'down') {
        const failed = await metric('exporter', 'egressd_exporter_sink_requests_total', { outcome: 'retryable' });
        prove(failed > 0, 'the exporter sent nothing while nothing listened');
      } else prove(met[behaviour] > 0, `no request met a receiver that was ${behaviour}`);
    },
  };
}

/** The receiver behaves differently every second. @param more behaviours beside those that every receiver may have */
export async function fickle({ receiver, pause, random }: Context, more: readonly Behaviour[]): Promise<undefined> {
  const bad: readonly Behaviour[] = [
    ...(['down', 'throttling', 'failing', 'hanging', 'mute', 'closing-early', 'closing-late'] as const),
    ...more,
  ];
  for (let i = 0; i < 15; i++) {
    await receiver.behave(random.pick(bad));
    await pause(random.between(500, 1500));
    await receiver.behave('well');
    await pause(random.between(500, 1500));
  }
  const met = await receiver.behave('well');
  prove(bad.filter((behaviour) => met[behaviour] > 0).length > 1, 'requests met too few faults');
}

export const RECEIVER_ROWS: readonly Row[] = [
  {
    name: 'receiver-down',
    does: 'The receiver does not listen, for ten export intervals.',
    quick: true,
    ...behaving('down', TEN_INTERVALS_MS),
  },
  {
    name: 'receiver-429',
    does: 'The receiver throttles every request (429).',
    ...behaving('throttling', 12_000),
  },
  { name: 'receiver-500', does: 'The receiver fails with every request.', ...behaving('failing', 12_000) },
  {
    name: 'receiver-400',
    does: 'The receiver refuses requests that hold series of one destination: they are found by halving.',
    ...behaving('picky', 12_000),
    async fault(context) {
      await behaving('picky', 12_000).fault(context);
      const refused = await context.metric('exporter', 'egressd_dropped_events_total', REFUSED);
      prove(refused > 0, 'no series was refused alone');
    },
  },
  { name: 'receiver-hangs', does: 'The receiver takes requests and never responds.', ...behaving('hanging', 15_000) },
  {
    name: 'receiver-mute',
    does: 'The receiver stores every request and never responds: all are sent again.',
    ...behaving('mute', 15_000),
  },
  {
    name: 'receiver-closes-early',
    does: 'The receiver breaks the connection before it has read a request.',
    ...behaving('closing-early', 12_000),
  },
  {
    name: 'receiver-closes-late',
    does: 'The receiver stores every request and breaks the connection in the middle of its response.',
    ...behaving('closing-late', 12_000),
  },
  {
    name: 'receiver-fickle',
    ebpf: 'all',
    does: 'The receiver behaves differently every second, for half a minute.',
    with: { receiver: true },
    daemons: { sink: TIMEOUT },
    fault: (context) => fickle(context, []),
  },
];
