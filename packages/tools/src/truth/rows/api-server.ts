import { type Context, prove, type Row } from '../row.ts';

const KUBERNETES = { daemons: { owners: 'kubernetes' } } as const;
const GONE_MS = 12_000;
const TIMES = 8;

/** @throws Unproven where the exporter has not noticed */
async function proveNoticed({ metric }: Context, before: number): Promise<void> {
  const failures = await metric('exporter', 'egressd_exporter_kubernetes_request_failures_total');
  prove(failures > before, 'the exporter has not noticed that anything was wrong');
}

const failuresSoFar = ({ metric }: Context) => metric('exporter', 'egressd_exporter_kubernetes_request_failures_total');

/** Commands to the API server, over and over. */
function commanded(commands: readonly string[]): Row['fault'] {
  return async (context) => {
    const { daemons, pause, random } = context;
    const before = await failuresSoFar(context);
    for (let i = 0; i < TIMES; i++) {
      for (const command of commands) {
        daemons.apiServer?.writeLine(command);
        await pause(random.between(200, 1500));
      }
    }
    await proveNoticed(context, before);
  };
}

export const API_SERVER_ROWS: readonly Row[] = [
  {
    name: 'api-server-gone',
    does: 'The Kubernetes API server is gone for twelve seconds, and comes back.',
    ...KUBERNETES,
    async fault(context) {
      const before = await failuresSoFar(context);
      context.daemons.apiServer?.writeLine('down');
      await context.pause(GONE_MS);
      context.daemons.apiServer?.writeLine('up');
      await proveNoticed(context, before);
    },
  },
  {
    name: 'api-server-410',
    does: 'The API server restarts, eight times: it refuses for a moment, and watches that continue get 410 and have to list again.',
    ...KUBERNETES,
    fault: commanded(['disturb', 'restart']),
  },
  {
    name: 'watches-dropped',
    does: 'Watches break in the middle of a line or stall, and half of all requests fail, while pods change.',
    ...KUBERNETES,
    fault: commanded(['disturb', 'stall', 'failing', 'disturb', 'healthy', 'disturb']),
  },
];
