import { type BackoffLimits, backoffMs } from '@egressd/daemon/backoff';
import type { Log } from '@egressd/daemon/log';
import { sleep } from '@egressd/daemon/sleep';
import { KubeFailure } from '../kube/failure.ts';
import { type Holdings, ROLES, type Role } from './holdings.ts';
import { CertificateError, renew, type Terms } from './renewal.ts';
import { type KeptSecret, SecretConflict, type Secrets } from './secrets.ts';

/** Attempts in all: what is wrong for longer is for whoever started this to try again. */
export const MAX_ATTEMPTS = 6;
/** From half a second; the API server may ask for more. */
const BACKOFF: BackoffLimits = { minMs: 500, maxMs: 8_000 };
/** What may be well a moment later. */
const PASSING: ReadonlySet<string> = new Set(['unreachable', 'timeout', 'throttled', 'server']);

/** What the work is done with. */
export interface KeepCurrent {
  readonly secrets: Secrets;
  readonly names: Readonly<Record<Role, string>>;
  readonly terms: Terms;
  readonly now: () => number;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly backoff?: BackoffLimits;
}

/**
 * Brings the three Secrets up to date, and says what it did, a line each. Several may do so at a time: whoever was slower reads
 * again what the faster one wrote.
 * @throws KubeFailure, CertificateError
 */
export async function keepCurrent(work: KeepCurrent): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await once(work);
    } catch (error) {
      if (!mayPass(error)) throw error;
      if (attempt === MAX_ATTEMPTS) throw lastWord(error);
      work.log.info('trying again', { attempt, because: error.message });
      const askedMs = error instanceof KubeFailure ? error.retryAfterMs : undefined;
      await sleep(backoffMs(attempt, work.backoff ?? BACKOFF, { askedMs }), work.signal);
    }
  }
}

async function once({ secrets, names, terms, now, log }: KeepCurrent): Promise<void> {
  const kept = {} as Record<Role, KeptSecret>;
  for (const role of ROLES) kept[role] = await secrets.read(names[role]);
  const held = Object.fromEntries(ROLES.map((role) => [role, kept[role].contents])) as Holdings;
  const renewed = await renew(held, terms, now());
  // The authority first: of two who make one at a time, one fails here, before anything is signed with it.
  for (const role of ROLES) {
    const { contents, because, expiresMs } = renewed[role];
    const expires = new Date(expiresMs).toISOString();
    if (because === undefined) {
      log.info('nothing to do', { secret: names[role], expires });
    } else {
      await secrets.write(kept[role], contents);
      log.info('written', { secret: names[role], because, expires });
    }
  }
}

function mayPass(error: unknown): error is SecretConflict | KubeFailure {
  return error instanceof SecretConflict || (error instanceof KubeFailure && PASSING.has(error.reason));
}

function lastWord(error: SecretConflict | KubeFailure): Error {
  if (error instanceof KubeFailure) return error;
  return new CertificateError(`${error.message}, again and again: does more than one program renew it?`);
}
