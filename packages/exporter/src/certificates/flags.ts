import { isIP } from 'node:net';
import { boolean, duration, level, list, optionalText } from '@egressd/daemon/flag-kinds';
import { defineFlags, type Environment, type ParsedFlags, parseFlags, type Values } from '@egressd/daemon/flags';

const HOUR_MS = 60 * 60_000;
const DAY_MS = 24 * HOUR_MS;
const YEAR_MS = 365 * DAY_MS;

/** The flags of `certificates`: names and defaults are an interface. */
export const CERTIFICATES_FLAGS = defineFlags({
  namespace: optionalText('name', 'Namespace of the Secrets. Has to be set, as the four after it.'),
  'ca-secret': optionalText(
    'name',
    'Secret of the authority: its certificate and key. Only this program needs to read it.',
  ),
  'exporter-secret': optionalText('name', "Secret of the exporter's certificate and key."),
  'collector-secret': optionalText('name', "Secret of the collectors' certificate and key."),
  'dns-names': list([], 'DNS names by which collectors reach the exporter; another list makes a new certificate.'),
  validity: duration(
    90 * DAY_MS,
    { min: HOUR_MS, max: 10 * YEAR_MS },
    "How long the exporter's and the collectors' certificates are valid.",
  ),
  'renew-before': duration(
    30 * DAY_MS,
    { min: 60_000, max: 10 * YEAR_MS },
    'Certificates are replaced when they are valid no longer than that.',
  ),
  'ca-validity': duration(
    YEAR_MS,
    { min: HOUR_MS, max: 20 * YEAR_MS },
    'How long an authority is valid. It is replaced in time for the certificates that it signs, and trusted until they are.',
  ),
  kubeconfig: optionalText(
    'file',
    'Write to the Kubernetes API that this file leads to; not set: KUBECONFIG, then the cluster that this runs in.',
  ),
  'log-level': level('info', 'Least severe lines to log: debug, info, warn or error.'),
  version: boolean(false, 'Print the version and exit.'),
});

/** The values of the flags of `certificates`. */
export type CertificatesFlags = Values<typeof CERTIFICATES_FLAGS>;

/** Reads the command line and environment of `certificates`. */
export function parseCertificatesFlags(
  argv: readonly string[],
  environment: Environment,
): ParsedFlags<CertificatesFlags> {
  return parseFlags(CERTIFICATES_FLAGS, argv, environment, checkTogether);
}

/** RFC 1123 labels with dots: what Kubernetes takes for a Secret's name, and TLS for a server's. */
const NAME = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$/;

function checkTogether(flags: CertificatesFlags): string[] {
  if (flags.version) return [];
  const { namespace, caSecret, exporterSecret, collectorSecret, dnsNames } = flags;
  const names = {
    namespace,
    'ca-secret': caSecret,
    'exporter-secret': exporterSecret,
    'collector-secret': collectorSecret,
  };
  const mistakes = Object.entries(names).flatMap(([flag, name]) => checkName(flag, name));
  if (dnsNames.length === 0) mistakes.push('-dns-names: has to be set, such as egressd-exporter.egressd.svc');
  for (const name of dnsNames)
    if (isIP(name) === 0) mistakes.push(...checkName('dns-names', name));
    else mistakes.push(`-dns-names: "${name}" is an address, and names are checked: use the name of the Service`);
  const secrets = [caSecret, exporterSecret, collectorSecret].filter((name) => name !== undefined);
  if (new Set(secrets).size < secrets.length)
    mistakes.push('-ca-secret, -exporter-secret, -collector-secret: have to be three different Secrets');
  return [...mistakes, ...checkTimes(flags)];
}

function checkName(flag: string, name: string | undefined): string[] {
  if (name === undefined) return [`-${flag}: has to be set`];
  return NAME.test(name) ? [] : [`-${flag}: ${JSON.stringify(name)} is no DNS name in lower case`];
}

function checkTimes({ validity, renewBefore, caValidity }: CertificatesFlags): string[] {
  if (renewBefore >= validity) return ['-renew-before: has to be shorter than -validity'];
  // Else each run would find its own authority too old already.
  if (caValidity < 2 * (validity + renewBefore))
    return ['-ca-validity: has to be at least twice as long as -validity and -renew-before together'];
  return [];
}
