import { type BackoffLimits, backoffMs } from '@egressd/daemon/backoff';
import type { Log } from '@egressd/daemon/log';
import { sleep } from '@egressd/daemon/sleep';
import { type FailureReason, KubeFailure } from '../kube/failure.ts';
import { type CertificateSet, ROLES, type Role } from './certificate-set.ts';
import { CertificateError, type RenewalPolicy, renewCertificates } from './renewal.ts';
import { SecretConflict, type Secrets, type StoredSecret } from './secrets.ts';

/** Attempts in all; after that the program fails, and its Job or CronJob runs it again. */
const MAX_ATTEMPTS = 6;
/** From half a second; the API server may ask for more. */
const BACKOFF: BackoffLimits = { minMs: 500, maxMs: 8_000 };
/** Failures that are retried. */
const RETRYABLE: ReadonlySet<FailureReason> = new Set(['unreachable', 'timeout', 'throttled', 'server']);

/** Options of `renewSecrets`. */
export interface RenewSecretsOptions {
  readonly secrets: Secrets;
  readonly names: Readonly<Record<Role, string>>;
  readonly policy: RenewalPolicy;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly backoff?: BackoffLimits;
}

/**
 * Renews the certificates in the three Secrets, and logs a line for each. Several processes may do so at a time: the slower one reads
 * again what the faster one wrote.
 * @throws KubeFailure, CertificateError
 */
export async function renewSecrets(options: RenewSecretsOptions): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await renewOnce(options);
    } catch (error) {
      if (!isRetryable(error)) throw error;
      if (attempt === MAX_ATTEMPTS) throw finalError(error);
      const reason = error instanceof KubeFailure ? error.reason : 'conflict';
      options.log.info('renewal failed, retrying', { attempt, reason, error: error.message });
      const askedMs = error instanceof KubeFailure ? error.retryAfterMs : undefined;
      await sleep(backoffMs(attempt, options.backoff ?? BACKOFF, { askedMs }), options.signal);
    }
  }
}

async function renewOnce({ secrets, names, policy, now, log }: RenewSecretsOptions): Promise<void> {
  const stored = {} as Record<Role, StoredSecret>;
  for (const role of ROLES) stored[role] = await secrets.read(names[role]);
  const current = Object.fromEntries(ROLES.map((role) => [role, stored[role].data])) as CertificateSet;
  const renewed = await renewCertificates(current, policy, now());
  // The authority first: of two processes that both make one, the slower fails here, before anything is signed with its own.
  for (const role of ROLES) {
    const { data, cause, expiresMs } = renewed[role];
    const expires = new Date(expiresMs).toISOString();
    if (cause === undefined) {
      log.info('Secret unchanged', { secret: names[role], expires });
    } else {
      await secrets.write(stored[role], data);
      log.info('Secret written', { secret: names[role], cause, expires });
    }
  }
}

function isRetryable(error: unknown): error is SecretConflict | KubeFailure {
  return error instanceof SecretConflict || (error instanceof KubeFailure && RETRYABLE.has(error.reason));
}

function finalError(error: SecretConflict | KubeFailure): Error {
  if (error instanceof KubeFailure) return error;
  return new CertificateError(`${error.message}, ${MAX_ATTEMPTS} times: does more than one program renew it?`);
}
