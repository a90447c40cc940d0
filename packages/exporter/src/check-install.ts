import { commandLineOrExit } from '@egressd/daemon/command-line';
import { EXIT } from '@egressd/daemon/lifecycle';
import { checkInstall } from './check-install/check.ts';
import { CHECK_INSTALL_FLAGS, parseCheckInstallFlags } from './check-install/flags.ts';

const { url = '', timeout } = commandLineOrExit(
  {
    name: 'egressd-check-install',
    about: 'Checks that collectors reach an exporter and its counters increase: what `helm test` runs.',
    flags: CHECK_INSTALL_FLAGS,
  },
  parseCheckInstallFlags(process.argv.slice(2), process.env),
);
const { ok, lines } = await checkInstall({ url, timeoutMs: timeout });
process.stdout.write(`${lines.join('\n')}\n`);
process.exitCode = ok ? EXIT.ok : EXIT.failed;
