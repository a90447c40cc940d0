import { commandLineOrExit } from '@egressd/daemon/command-line';
import { EXIT } from '@egressd/daemon/lifecycle';
import { createLog } from '@egressd/daemon/log';
import { VERSION } from '@egressd/daemon/version';
import { CERTIFICATES_FLAGS, type CertificatesFlags, parseCertificatesFlags } from './certificates/flags.ts';
import { renewSecrets } from './certificates/renew-secrets.ts';
import { CertificateError } from './certificates/renewal.ts';
import { Secrets } from './certificates/secrets.ts';
import { findAccess } from './kube/access.ts';
import { KubeApi } from './kube/api.ts';
import { KubeFailure } from './kube/failure.ts';

// Issues and renews the certificates of the stream in three Secrets of Kubernetes, and does nothing else. It runs once. Exit code: 0 on
// success, 1 on a failure, 2 for a wrong command line.
const flags = commandLineOrExit(
  {
    name: 'egressd-certificates',
    about:
      'Makes and renews the certificates of exporter and collectors, in Secrets of Kubernetes. Runs once and ends.',
    flags: CERTIFICATES_FLAGS,
  },
  parseCertificatesFlags(process.argv.slice(2), process.env),
);
const log = createLog(flags.logLevel, (line) => process.stderr.write(line));
try {
  await run(flags);
} catch (error) {
  if (!(error instanceof KubeFailure || error instanceof CertificateError)) throw error;
  const reason = error instanceof KubeFailure ? error.reason : 'certificates';
  log.error('certificate renewal failed', { reason, error: error.message });
  process.exitCode = EXIT.failed;
}

async function run({ kubeconfig, namespace, caSecret, exporterSecret, collectorSecret, ...times }: CertificatesFlags) {
  const access = findAccess(kubeconfig, process.env);
  if (access === undefined)
    throw new KubeFailure(
      'config',
      'no Kubernetes API: run this as a pod with its service account, or set -kubeconfig',
    );
  // It runs for seconds: signals have their default action, to end at once. Every write is atomic.
  const { signal } = new AbortController();
  const api = new KubeApi(access, `egressd-certificates/${VERSION}`);
  await renewSecrets({
    // The flags were checked: none is missing.
    secrets: new Secrets(api, namespace!, signal),
    names: { authority: caSecret!, exporter: exporterSecret!, collector: collectorSecret! },
    policy: {
      dnsNames: times.dnsNames,
      validityMs: times.validity,
      renewBeforeMs: times.renewBefore,
      authorityValidityMs: times.caValidity,
    },
    now: Date.now,
    log,
    signal,
  });
}
