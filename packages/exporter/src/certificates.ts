import { commandLineOrExit } from '@egressd/daemon/command-line';
import { EXIT } from '@egressd/daemon/lifecycle';
import { createLog } from '@egressd/daemon/log';
import { VERSION } from '@egressd/daemon/version';
import { CERTIFICATES_FLAGS, type CertificatesFlags, parseCertificatesFlags } from './certificates/flags.ts';
import { keepCurrent } from './certificates/keep-current.ts';
import { CertificateError } from './certificates/renewal.ts';
import { Secrets } from './certificates/secrets.ts';
import { findAccess } from './kube/access.ts';
import { KubeApi } from './kube/api.ts';
import { KubeFailure } from './kube/failure.ts';

// Keeps the certificates of the stream in three Secrets of Kubernetes: makes what is missing, replaces what expires, does nothing
// else. It runs once and ends: with 0 where all is well, 1 where it is not, 2 where the command line is wrong.
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
  log.error('the certificates are not up to date', { error: error.message });
  process.exitCode = EXIT.failed;
}

async function run({ kubeconfig, namespace, caSecret, exporterSecret, collectorSecret, ...terms }: CertificatesFlags) {
  const access = findAccess(kubeconfig, process.env);
  if (access === undefined)
    throw new KubeFailure(
      'config',
      'no Kubernetes API: run this as a pod with its service account, or set -kubeconfig',
    );
  // It lives for seconds: what it needs of a signal is its default, to end at once. Every write is whole.
  const { signal } = new AbortController();
  const api = new KubeApi(access, `egressd-certificates/${VERSION}`, Date.now);
  await keepCurrent({
    // The command line was refused if one of them were missing.
    secrets: new Secrets(api, namespace!, signal),
    names: { authority: caSecret!, exporter: exporterSecret!, collector: collectorSecret! },
    terms: {
      dnsNames: terms.dnsNames,
      validityMs: terms.validity,
      renewBeforeMs: terms.renewBefore,
      authorityValidityMs: terms.caValidity,
    },
    now: Date.now,
    log,
    signal,
  });
}
