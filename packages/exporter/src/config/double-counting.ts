import { isDeepStrictEqual } from 'node:util';
import type { SinkSettings } from '../sinks/settings.ts';

/**
 * A warning for each two sinks that send to the same database, with nothing in their labels that tells them apart: a sum over both counts
 * every byte twice.
 */
export function doubleCounting(sinks: readonly SinkSettings[]): string[] {
  const senders = sinks.flatMap((sink) => {
    if (sink.kind === 'prom_remote_write') return [{ name: sink.name, ...sink.settings, by: 'labels' }];
    if (sink.kind !== 'otlp') return [];
    return [{ name: sink.name, ...sink.settings, labels: sink.settings.resourceAttributes, by: 'resourceAttributes' }];
  });
  return senders.flatMap((one, at) =>
    senders
      .slice(at + 1)
      .filter((other) => other.url === one.url && sameTenant(one, other) && isDeepStrictEqual(other.labels, one.labels))
      .map(
        (other) =>
          `sinks ${one.name} and ${other.name} send to the same database: a query over both counts twice; ` +
          `give one of them a label of its own (${one.by}), and ask for it in queries`,
      ),
  );
}

/** Tenants of one database differ in a header, such as X-Scope-OrgID. */
function sameTenant(one: { readonly headers: object }, other: { readonly headers: object }): boolean {
  return isDeepStrictEqual(one.headers, other.headers);
}
