import { commandLineOrExit } from '@egressd/daemon/command-line';
import { effective, renderValues } from '@egressd/daemon/flag-help';
import { EXIT, Lifecycle } from '@egressd/daemon/lifecycle';
import { createLog } from '@egressd/daemon/log';
import { COMMIT, VERSION } from '@egressd/daemon/version';
import { COLLECTOR_FLAGS, notices, parseCollectorFlags } from './flags.ts';
import { runInit } from './init.ts';
import { exitAtOnce } from './native/exit.ts';
import { cleanUpNode } from './start/clean-up.ts';
import { printConnections } from './start/print-connections.ts';
import { startCollector } from './start/start.ts';

const flags = commandLineOrExit(
  {
    name: 'egressd-collector',
    about: "Reads the node's conntrack table, reduces connections to pairs and streams them to the exporter.",
    flags: COLLECTOR_FLAGS,
  },
  parseCollectorFlags(process.argv.slice(2), process.env),
);
if (flags.configCheck) {
  process.stdout.write(`${renderValues(COLLECTOR_FLAGS, flags)}\nok\n`);
  process.exit(EXIT.ok);
}
const log = createLog(flags.logLevel, (line) => process.stderr.write(line));
if (flags.init) exitAtOnce(runInit({ cgroupv2: flags.initCgroupv2, log }));
if (flags.cleanup) process.exit(await cleanUpNode(flags, log));
if (flags.dumpCt) process.exit(await printConnections(flags, log));
const lifecycle = new Lifecycle(log);
log.info('egressd collector', { version: VERSION, commit: COMMIT, ...effective(COLLECTOR_FLAGS, flags) });
for (const line of notices(flags)) log.info(line);
await lifecycle.start(() => startCollector({ flags, log, lifecycle }));
