import { printable } from '@egressd/daemon/printable';
import { parseRange } from '@egressd/flow/address';
import { z } from 'zod';
import { quoted } from '../config/issues.ts';
import { NETWORK_KINDS } from './network.ts';
import type { NetworkRange } from './network-index.ts';

/** Longest name of a network, zone or region. */
const MAX_NAME = 253;

/** A name that a label can show; those that begin with ~ are egressd's own. */
const name = z
  .string()
  .max(MAX_NAME)
  .refine((text) => !text.startsWith('~'), 'names that begin with ~ are reserved, such as ~other')
  .refine((text) => printable(text) === text, 'has characters that cannot be seen');

/** Networks of the user's, as they are written: in the configuration, or in a file. */
export const NETWORKS_SCHEMA = z.array(
  z.strictObject({
    cidr: z.string().refine((text) => parseRange(text) !== undefined, {
      error: ({ input }) => `expected a range of addresses such as 10.0.0.0/8, ${quoted(String(input))} is none`,
    }),
    name: name.min(1),
    kind: z.enum(NETWORK_KINDS).nullish(),
    zone: name.nullish(),
    region: name.nullish(),
  }),
);

/** A file of them. */
export const NETWORK_FILE_SCHEMA = z.strictObject({ networks: NETWORKS_SCHEMA });

/** Networks as they are written, which the schema has checked. */
export type WrittenNetworks = z.output<typeof NETWORKS_SCHEMA>;

/** Their ranges, in their order. */
export function rangesOf(networks: WrittenNetworks): NetworkRange[] {
  return networks.map(({ cidr, name, kind, zone, region }) => {
    const network = { name, kind: kind ?? '', zone: zone ?? '', region: region ?? '', service: '' } as const;
    return [parseRange(cidr)!, network];
  });
}
