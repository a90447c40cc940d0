import { resolve } from 'node:path';
import { parseRange } from '@egressd/flow/address';
import { z } from 'zod';
import { NETWORKS_SCHEMA, type WrittenNetworks } from '../networks/schema.ts';
import { quoted } from './issues.ts';
import { sinksSchema } from './sink-schema.ts';
import { durationSchema, orElse } from './values.ts';

/** Time between two snapshots, in milliseconds. */
export const EXPORT_INTERVAL = { default: 60_000, min: 100, max: 3_600_000 };

/** A CIDR, as it is written. */
const range = z.string().refine((text) => parseRange(text) !== undefined, {
  error: ({ input }) => `expected a range of addresses such as 10.0.0.0/8, ${quoted(String(input))} is none`,
});

/**
 * The schema of the configuration file, `${VAR}` replaced.
 * @param folder what paths in it are relative to
 */
export function configSchema(folder: string) {
  const path = z
    .string()
    .min(1)
    .transform((given) => resolve(folder, given));
  return z.strictObject({
    exportInterval: orElse(durationSchema(EXPORT_INTERVAL), EXPORT_INTERVAL.default),
    inventory: orElse(path, undefined),
    clusterRanges: orElse(z.array(range), [] as string[]),
    privateRanges: orElse(z.array(range), [] as string[]),
    networks: orElse(NETWORKS_SCHEMA, [] as WrittenNetworks),
    networkFiles: orElse(z.array(path), [] as string[]),
    cloudRanges: orElse(path, undefined),
    keepUnlisted: orElse(z.boolean(), true),
    metrics: orElse(z.strictObject({ flows: orElse(z.boolean(), undefined) }), { flows: undefined }),
    sinks: orElse(sinksSchema(path), {}),
    // Accepted from older releases, not used.
    podIP: z.string().nullish(),
    podNamespace: z.string().nullish(),
    collectorsConcurrentFetchCount: z.unknown().optional(),
    collectorFetchTimeout: z.unknown().optional(),
    log: z.unknown().optional(),
  });
}
