import type { Log } from '@egressd/daemon/log';
import { sleep } from '@egressd/daemon/sleep';
import { parseRange, type Range } from '@egressd/flow/address';
import type { KubeApi } from './api.ts';
import { type KubeFailure, type ResourceAttributes, toKubeFailure } from './failure.ts';
import { asList, asMap, asText } from './json.ts';
import { IDLE_TIMEOUT_MS } from './list-watch.ts';
import { mergeRanges } from './merge-ranges.ts';

/** They hardly ever change: an administrator adds one when addresses run out. */
const READ_INTERVAL_MS = 10 * 60_000;
/** Ranges that are taken; a cluster has one or two. */
const MAX_RANGES = 64;
const ATTRIBUTES: ResourceAttributes = { verb: 'list', group: 'networking.k8s.io', resource: 'servicecidrs' };
const PATH = '/apis/networking.k8s.io/v1/servicecidrs';

interface ServiceCidrsOptions {
  readonly api: KubeApi;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly idleTimeoutMs?: number;
  readonly serviceCidrsIntervalMs?: number;
}

/**
 * The ranges of the cluster's ClusterIPs: objects `ServiceCIDR` (networking.k8s.io/v1, Kubernetes 1.33 and newer). They are optional: a
 * cluster with public addresses for Services that does not allow or have them sets `clusterRanges`.
 */
export class ServiceCidrs {
  readonly #options: ServiceCidrsOptions;
  #ranges: readonly Range[] = [];
  /** Reason of the last failure: it is logged once. */
  #logged = '';

  constructor(options: ServiceCidrsOptions) {
    this.#options = options;
  }

  /** Ranges of the last successful read. */
  get ranges(): readonly Range[] {
    return this.#ranges;
  }

  /** Reads them once. A failure leaves them as they were. @returns whether they have changed */
  async read(): Promise<boolean> {
    const { api, log, signal, idleTimeoutMs = IDLE_TIMEOUT_MS } = this.#options;
    try {
      const query = { limit: String(MAX_RANGES) };
      const ranges = rangesIn(await api.json({ attributes: ATTRIBUTES, path: PATH, query, idleTimeoutMs, signal }));
      this.#logged = '';
      if (textOf(ranges) === textOf(this.#ranges)) return false;
      this.#ranges = ranges;
      log.info('ServiceCIDRs read', { resource: ATTRIBUTES.resource, ranges: ranges.length });
      return true;
    } catch (error) {
      if (!signal.aborted) this.#logFailure(toKubeFailure(error));
      return false;
    }
  }

  /** Reads them again every ten minutes, until the signal is aborted. */
  async follow(onChange: () => void): Promise<void> {
    const { signal, serviceCidrsIntervalMs = READ_INTERVAL_MS } = this.#options;
    for (;;) {
      await sleep(serviceCidrsIntervalMs, signal);
      if (signal.aborted) return;
      if (await this.read()) onChange();
    }
  }

  #logFailure({ reason, status, message }: KubeFailure): void {
    if (this.#logged === reason) return;
    this.#logged = reason;
    const missing = status === 404;
    this.#options.log.info('ServiceCIDRs cannot be read', {
      resource: ATTRIBUTES.resource,
      reason: missing ? 'not_found' : reason,
      error: missing ? 'Kubernetes before 1.33 has none' : message,
      advice: 'where Services have public addresses, set clusterRanges',
    });
  }
}

/** Of a `ServiceCIDRList`; what is no range is skipped. */
function rangesIn(list: unknown): Range[] {
  const texts = asList(asMap(list).items).flatMap((item) => asList(asMap(asMap(item).spec).cidrs).map(asText));
  const ranges = texts.slice(0, MAX_RANGES).map(parseRange);
  return mergeRanges(ranges.filter((range) => range !== undefined));
}

function textOf(ranges: readonly Range[]): string {
  return ranges.map(({ bytes, bits }) => `${bytes}/${bits}`).join();
}
