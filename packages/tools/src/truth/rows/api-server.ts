import { type Context, prove, type Row } from '../row.ts';

const KUBERNETES = { daemons: { owners: 'kubernetes' } } as const;
const GONE_MS = 12_000;
const TIMES = 8;

/** @throws Unproven where the exporter has not noticed */
async function noticed({ metric }: Context, before: number): Promise<void> {
  const failures = await metric('exporter', 'egressd_exporter_kubernetes_request_failures_total');
  prove(failures > before, 'the exporter has not noticed that anything was wrong');
}

const failuresSoFar = ({ metric }: Context) => metric('exporter', 'egressd_exporter_kubernetes_request_failures_total');

/** What the API server is told, over and over. */
function told(orders: readonly string[]): Row['fault'] {
  return async (context) => {
    const { daemons, pause, random } = context;
    const before = await failuresSoFar(context);
    for (let i = 0; i < TIMES; i++) {
      for (const order of orders) {
        daemons.apiServer?.tell(order);
        await pause(random.between(200, 1500));
      }
    }
    await noticed(context, before);
  };
}

export const API_SERVER_ROWS: readonly Row[] = [
  {
    name: 'api-server-gone',
    does: 'The Kubernetes API server is gone for twelve seconds, and comes back.',
    ...KUBERNETES,
    async fault(context) {
      const before = await failuresSoFar(context);
      context.daemons.apiServer?.tell('away');
      await context.pause(GONE_MS);
      context.daemons.apiServer?.tell('back');
      await noticed(context, before);
    },
  },
  {
    name: 'api-server-410',
    does: 'The API server forgets the past, eight times: who wants to go on from there gets 410 and has to list anew.',
    ...KUBERNETES,
    fault: told(['disturb', 'compact']),
  },
  {
    name: 'watches-dropped',
    does: 'Watches break in the middle of a line or fall silent, and half of all requests are refused, while pods change.',
    ...KUBERNETES,
    fault: told(['disturb', 'silence', 'ailing', 'disturb', 'healthy', 'disturb']),
  },
];
