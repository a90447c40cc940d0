import type { Log } from '@egressd/daemon/log';
import { parseRange, type Range } from '@egressd/flow/address';
import type { KubeApi } from './api.ts';
import { failureFrom, type KubeFailure } from './failure.ts';
import { asList, asMap, asText } from './json.ts';
import { ANSWER_MS } from './list-watch.ts';
import { mergeRanges } from './merge-ranges.ts';

/** They hardly ever change: an administrator adds one when addresses run out. */
export const SERVICE_RANGES_AGAIN_MS = 10 * 60_000;
/** Ranges that are taken; a cluster has one or two. */
const MAX_RANGES = 64;

export interface ServiceRangesOptions {
  readonly api: KubeApi;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly answerMs?: number;
}

/**
 * The ranges from which Services get their ClusterIPs: `ServiceCIDR` (networking.k8s.io/v1, Kubernetes 1.33 and newer). A cluster does
 * without them: whoever has public numbers for Services and cannot give them here has the setting `clusterRanges`.
 */
export class ServiceRanges {
  readonly #options: ServiceRangesOptions;
  #ranges: readonly Range[] = [];
  /** What kept them from being read last; it is said once. */
  #said = '';

  constructor(options: ServiceRangesOptions) {
    this.#options = options;
  }

  /** As far as is known. */
  get ranges(): readonly Range[] {
    return this.#ranges;
  }

  /** Reads them, once. What fails leaves them as they were. @returns whether they have changed */
  async read(): Promise<boolean> {
    const { api, log, signal, answerMs = ANSWER_MS } = this.#options;
    try {
      const asked = { verb: 'list', group: 'networking.k8s.io', resource: 'servicecidrs' } as const;
      const path = '/apis/networking.k8s.io/v1/servicecidrs';
      const query = { limit: String(MAX_RANGES) };
      const ranges = rangesIn(await api.json({ asked, path, query, silenceMs: answerMs, signal }));
      this.#said = '';
      if (textOf(ranges) === textOf(this.#ranges)) return false;
      this.#ranges = ranges;
      log.info('Service ranges', { ranges: ranges.length });
      return true;
    } catch (error) {
      if (!signal.aborted) this.#say(failureFrom(error));
      return false;
    }
  }

  #say({ reason, status, message }: KubeFailure): void {
    if (this.#said === reason) return;
    this.#said = reason;
    const why =
      status === 404 ? 'this Kubernetes tells none (before 1.33)' : status === 403 ? `not allowed: ${RULE}` : message;
    const advice = 'where Services have public numbers, set clusterRanges';
    this.#options.log.info('Service ranges are not read from Kubernetes', { why, advice });
  }
}

const RULE = 'apiGroups: ["networking.k8s.io"], resources: ["servicecidrs"], verbs: ["list"]';

/** Of a `ServiceCIDRList`; what is no range is left out. */
function rangesIn(list: unknown): Range[] {
  const texts = asList(asMap(list).items).flatMap((item) => asList(asMap(asMap(item).spec).cidrs).map(asText));
  const ranges = texts.slice(0, MAX_RANGES).map(parseRange);
  return mergeRanges(ranges.filter((range) => range !== undefined));
}

function textOf(ranges: readonly Range[]): string {
  return ranges.map(({ bytes, bits }) => `${bytes}/${bits}`).join();
}
