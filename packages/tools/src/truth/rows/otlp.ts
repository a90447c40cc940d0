import { OTLP_PATH, RECEIVER_PORT } from '../faults/receiver.ts';
import { type Context, prove, type Row } from '../row.ts';
import { behaving, fickle, REFUSED } from './receiver.ts';
import { killOften } from './restarts.ts';

/** The exporter sends OTLP to a receiver that stores it as Prometheus does. A receiver that does not respond is not waited for long. */
const OTLP = {
  settings: {
    sinks: {
      telemetry: {
        otlp: {
          url: `http://127.0.0.1:${RECEIVER_PORT}${OTLP_PATH}`,
          // By which pairs are compared.
          attributeNames: 'labels',
          sendReceivedBytesMetric: true,
          sendPacketsMetric: true,
          regionLabels: true,
          timeout: '2s',
        },
      },
    },
  },
};

const ROW: Pick<Row, 'with' | 'daemons'> = {
  with: { receiver: true },
  daemons: { ...OTLP, stateDirectories: true },
};

export const OTLP_ROWS: readonly Row[] = [
  {
    name: 'otlp-down',
    does: 'OTLP: the receiver does not listen, for ten export intervals.',
    ...ROW,
    fault: behaving('down', 10_000).fault,
  },
  {
    name: 'otlp-partly-stored',
    does: 'OTLP: the receiver refuses points of one destination by a partial success: they are found by halving.',
    ...ROW,
    async fault(context) {
      await behaving('partly-picky', 12_000).fault(context);
      const partial = await context.metric('exporter', 'egressd_exporter_sink_requests_total', { outcome: 'partial' });
      const refused = await context.metric('exporter', 'egressd_dropped_events_total', REFUSED);
      prove(partial > 0 && refused > 0, 'no point was refused alone after a partial success');
      return undefined;
    },
  },
  {
    name: 'otlp-fickle',
    does: 'OTLP: the receiver behaves differently every second, for half a minute.',
    ...ROW,
    fault: (context) => fickle(context, ['partly-picky']),
  },
  {
    name: 'otlp-exporter-killed',
    does: 'OTLP: the exporter is killed (SIGKILL) at ten random moments, while the receiver is fickle.',
    ...ROW,
    async fault(context: Context) {
      await Promise.all([killOften(context.daemons.exporter, 10, context), fickle(context, ['partly-picky'])]);
      return undefined;
    },
  },
];
