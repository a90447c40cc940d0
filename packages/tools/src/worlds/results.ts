import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Results of a guest, a JSON line a case, in the folder that it shares with the machine that started it. */
export const RESULTS_FILE = 'results.jsonl';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));
const FLAGS = '--conditions=source --disable-warning=ExperimentalWarning';

/**
 * What the guest runs: the cases, by this checkout's own Node.js. Each program is compiled once before, and kept: emulated, that takes
 * long, and several that start at once would do it several times.
 */
export function guestScript(node: string, worlds: readonly string[]): string {
  const path = [join(ROOT, 'node_modules/.bin'), '/usr/sbin', '/usr/bin', '/sbin', '/bin'].join(':');
  return `export PATH='${path}' NODE_COMPILE_CACHE=/run/compile-cache HOME=/tmp
cd '${ROOT}'
for daemon in collector exporter; do '${node}' ${FLAGS} packages/$daemon/src/main.ts -version; done
'${node}' ${FLAGS} packages/world/src/traffic/agent.ts < /dev/null
'${node}' ${FLAGS} packages/tools/src/worlds/guest.ts ${worlds.join(' ')}
`;
}
