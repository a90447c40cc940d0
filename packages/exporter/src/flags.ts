import { boolean, level, optionalText, port } from '@egressd/daemon/flag-kinds';
import { defineFlags, type Environment, type ParsedFlags, parseFlags, type Values } from '@egressd/daemon/flags';

/** Where the chart mounts the configuration. */
export const DEFAULT_CONFIG_PATH = '/etc/egressd/config/config.yaml';

/** The exporter's flags: names and defaults are an interface. */
export const EXPORTER_FLAGS = defineFlags({
  'log-level': level('info', 'Least severe lines to log: debug, info, warn or error.'),
  'http-listen-port': port(6060, 'Port of /healthz, /readyz and /metrics; 0 takes a free one.'),
  'grpc-listen-port': port(6062, 'Port that collectors stream to; 0 takes a free one.'),
  'config-path': optionalText(
    'file',
    `The configuration, YAML; not set: ${DEFAULT_CONFIG_PATH} where it exists, else the defaults.`,
  ),
  'tls-cert-file': optionalText('file', "PEM file with the receiver's certificate; read again when it changes."),
  'tls-key-file': optionalText('file', 'PEM file with the key of that certificate.'),
  'tls-ca-file': optionalText(
    'file',
    "PEM file with the CA of the collectors' certificates; set: collectors must have one (mTLS).",
  ),
  insecure: boolean(false, 'Accept plain-text streams from beyond loopback.'),
  'state-dir': optionalText(
    'directory',
    'Keeps across restarts: totals, what each sink has accepted, which batches are counted, and the IP history of pods.',
  ),
  'state-ephemeral': boolean(
    false,
    'The state directory is deleted with the pod (an emptyDir): collectors keep batches until every sink has accepted them too.',
  ),
  kubeconfig: optionalText(
    'file',
    'Read pods and nodes from the Kubernetes API of this kubeconfig; not set: KUBECONFIG, then in-cluster.',
  ),
  'config-check': boolean(
    false,
    'Print the configuration as it was read, without secrets, or the mistakes in it, and exit.',
  ),
  'series-check': boolean(
    false,
    'Print how many series each label set and each sink would have, by what is in -state-dir, and exit.',
  ),
  version: boolean(false, 'Print the version and exit.'),
});

/** The values of the exporter's flags. */
export type ExporterFlags = Values<typeof EXPORTER_FLAGS>;

/** Reads the exporter's command line and environment. */
export function parseExporterFlags(argv: readonly string[], environment: Environment): ParsedFlags<ExporterFlags> {
  return parseFlags(EXPORTER_FLAGS, argv, environment, checkTogether);
}

function checkTogether(flags: ExporterFlags): string[] {
  const mistakes: string[] = [];
  if ((flags.tlsCertFile === undefined) !== (flags.tlsKeyFile === undefined))
    mistakes.push('-tls-cert-file and -tls-key-file: only one is set, a certificate needs both');
  if (flags.tlsCaFile !== undefined && flags.tlsCertFile === undefined)
    mistakes.push(
      '-tls-ca-file: needs -tls-cert-file and -tls-key-file, without its own certificate the receiver cannot ask for one',
    );
  if (flags.stateEphemeral && flags.stateDir === undefined)
    mistakes.push('-state-ephemeral: needs -state-dir, which is not set');
  if (flags.seriesCheck && flags.stateDir === undefined)
    mistakes.push('-series-check: needs -state-dir, which is not set');
  return mistakes;
}
