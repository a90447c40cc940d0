/** The thread that reads Cilium's maps: a batch of entries blocks for milliseconds, a full map for a tenth of a second. */
import { stat } from 'node:fs/promises';
import { workerData } from 'node:worker_threads';
import { type AddressSocket, openAddressSocket } from '../addresses.ts';
import { inNamespace } from '../ffi.ts';
import type { Request, ToWorker } from '../messages.ts';
import type { SwitchFiles } from '../switches.ts';
import { BLOCK_RECORDS, BLOCKS, type Circulation, circulate, newBlocks, port, reason, say } from '../worker-port.ts';
import { CiliumReading, type CiliumReadingOptions } from './reading.ts';

/** What the worker is started with. */
export interface CiliumWorkerOptions extends CiliumReadingOptions {
  /** File of the network namespace whose addresses are the node's; undefined: the process's own. */
  readonly namespace?: string | undefined;
}

const options = workerData as CiliumWorkerOptions;
/** The switches are netfilter's: here they say nothing. */
const NO_SWITCHES: SwitchFiles = {
  accounting: undefined,
  timestamps: undefined,
  events: undefined,
  buckets: undefined,
  entries: undefined,
  limit: undefined,
  statistics: undefined,
  sockets: undefined,
};

interface Open {
  readonly maps: CiliumReading;
  readonly addresses: AddressSocket;
  readonly blocks: Circulation;
}

function serve(open: Open): void {
  port.on('message', (message: ToWorker) => {
    if (message.kind === 'recycle') {
      open.blocks.recycle(message.block);
      return;
    }
    answer(open, message.kind, message.id).catch((error) => {
      // A reader that starts anew looks at the maps anew: they may be others, or of another version of Cilium.
      if (message.kind === 'read') closeAll(open);
      say({ kind: 'failed', id: message.id, ...reason(error) });
      if (message.kind === 'read') port.close();
    });
  });
  say({ kind: 'ready', switches: NO_SWITCHES, blocks: open.blocks.all });
}

async function answer(open: Open, kind: Request, id: number): Promise<void> {
  switch (kind) {
    case 'read':
      say({ kind, id, report: await open.maps.read(open.blocks) });
      break;
    case 'addresses':
      say({ kind, id, addresses: await open.addresses.read() });
      break;
    case 'close':
      closeAll(open);
      say({ kind: 'closed', id });
      port.close();
  }
}

function closeAll({ maps, addresses }: Open): void {
  maps.close();
  addresses.close();
}

try {
  // Threads of libuv's pool keep the namespace of the thread that starts them: they start here, before it is left.
  await stat('/');
  const { namespace } = options;
  const maps = await CiliumReading.open(options);
  const addresses = namespace === undefined ? openAddressSocket() : inNamespace(namespace, openAddressSocket);
  serve({ maps, addresses, blocks: circulate('block', newBlocks(BLOCKS, BLOCK_RECORDS), 0, BLOCKS) });
} catch (error) {
  say({ kind: 'unusable', ...reason(error) });
}
