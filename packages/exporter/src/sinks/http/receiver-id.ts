import { createHash } from 'node:crypto';
import type { HttpSettings } from './settings.ts';

/**
 * Identifies the receiver behind a URL (`Sink.receiverId`): a tenant may be in the URL's query and in headers, so both are part of it. As
 * a hash, because secrets may be there too. The authorization is not: a renewed token leads to the same place.
 */
export function receiverIdOf({ url, headers }: HttpSettings): string {
  const { origin, pathname, search } = new URL(url);
  const tenant = Object.entries(headers)
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => name !== 'authorization')
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([origin, pathname, search, tenant]))
    .digest('hex');
}
