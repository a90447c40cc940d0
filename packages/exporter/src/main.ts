import { commandLineOrExit } from '@egressd/daemon/command-line';
import { effective } from '@egressd/daemon/flag-help';
import { EXIT, Lifecycle } from '@egressd/daemon/lifecycle';
import { createLog } from '@egressd/daemon/log';
import { COMMIT, VERSION } from '@egressd/daemon/version';
import { configCheck, renderMistakes } from './config/check.ts';
import { loadConfig } from './config/load.ts';
import { describeConfig } from './config/show.ts';
import { EXPORTER_FLAGS, parseExporterFlags } from './flags.ts';
import { inventoryMistakes } from './inventory/load.ts';
import { networkMistakes } from './networks/load.ts';
import { seriesCheck } from './start/series-check.ts';
import { startExporter } from './start/start.ts';

const flags = commandLineOrExit(
  {
    name: 'egressd-exporter',
    about: 'Receives flows from the collectors, adds pod, node and zone, keeps totals and sends them to sinks.',
    flags: EXPORTER_FLAGS,
  },
  parseExporterFlags(process.argv.slice(2), process.env),
);
const loaded = loadConfig(flags.configPath, process.env);
if (flags.configCheck) {
  const inFiles = loaded.ok
    ? [...(await inventoryMistakes(loaded.config.inventory)), ...(await networkMistakes(loaded.config))]
    : [];
  const { text, code } = configCheck(loaded, inFiles);
  process.stdout.write(text);
  process.exit(code);
}
if (!loaded.ok) {
  process.stderr.write(renderMistakes(loaded.mistakes));
  process.exit(EXIT.failed);
}
const { config, warnings, literalSecrets } = loaded;
if (flags.seriesCheck && flags.stateDir !== undefined) {
  const { text, code } = await seriesCheck(flags.stateDir, config, process.env);
  process.stdout.write(text);
  process.exit(code);
}
const log = createLog(flags.logLevel, (line) => process.stderr.write(line));
const lifecycle = new Lifecycle(log);
log.info('egressd exporter', {
  version: VERSION,
  commit: COMMIT,
  ...effective(EXPORTER_FLAGS, flags),
  ...describeConfig(config),
});
for (const line of warnings) log.warn(line);
// On a host the file itself can be kept from others; in a cluster it is a ConfigMap, unless it is a Secret.
if (literalSecrets.length > 0 && process.env.KUBERNETES_SERVICE_HOST !== undefined)
  log.info('the configuration has secrets in plain text, which a ConfigMap shows to all who may read it', {
    settings: literalSecrets.join(', '),
    // biome-ignore lint/suspicious/noTemplateCurlyInString: as it is written there
    advice: 'write ${VAR} and set the variable from a Secret, or have the whole file in a Secret',
  });
await lifecycle.start(() => startExporter({ flags, config, environment: process.env, log, lifecycle }));
