import { boolean, duration, optionalText } from '@egressd/daemon/flag-kinds';
import { defineFlags, type Environment, type ParsedFlags, parseFlags, type Values } from '@egressd/daemon/flags';

/** The flags of `check-install`. */
export const CHECK_INSTALL_FLAGS = defineFlags({
  url: optionalText('url', 'The /metrics of the exporter, such as http://egressd-exporter.egressd.svc:6060/metrics.'),
  timeout: duration(
    120_000,
    { min: 1000, max: 3_600_000 },
    'How long to wait for collectors to stream and for counters to increase.',
  ),
  version: boolean(false, 'Print the version and exit.'),
});

/** The values of the flags of `check-install`. */
type CheckInstallFlags = Values<typeof CHECK_INSTALL_FLAGS>;

/** Reads the command line and environment of `check-install`. */
export function parseCheckInstallFlags(
  argv: readonly string[],
  environment: Environment,
): ParsedFlags<CheckInstallFlags> {
  return parseFlags(CHECK_INSTALL_FLAGS, argv, environment, ({ url, version }) => {
    if (version || (url !== undefined && URL.canParse(url) && url.startsWith('http'))) return [];
    return ['-url: has to be set to the /metrics of the exporter, such as http://egressd-exporter:6060/metrics'];
  });
}
