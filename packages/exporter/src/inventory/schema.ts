import { printable } from '@egressd/daemon/printable';
import { parseAddress, parseRange } from '@egressd/flow/address';
import { z } from 'zod';
import { quoted } from '../config/issues.ts';

/** Longest name of a node, pod, namespace, zone or region. */
const MAX_NAME = 253;

/**
 * A name that a label and a log line can show. Those that begin with `~`, which no name of Kubernetes has, are egressd's own: a pod named
 * `~other` would be taken for the sum of what was folded.
 */
const anyName = z
  .string()
  .max(MAX_NAME)
  .refine((text) => !text.startsWith('~'), 'names that begin with ~ are reserved, such as ~other')
  .refine((text) => printable(text) === text, {
    error: ({ input }) => `has characters that cannot be seen: ${quoted(String(input))}`,
  });
const name = anyName.min(1);
const optionalName = anyName.default('');

const address = z.string().transform((text, context) => {
  const bytes = parseAddress(text);
  if (bytes?.subarray(12).some((byte) => byte !== 0)) return bytes;
  const unspecified = bytes === undefined ? '' : ', the unspecified address';
  const message = `expected an IP address such as 10.0.0.1, found ${quoted(text)}${unspecified}`;
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

const range = z.string().transform((text, context) => {
  const parsed = parseRange(text);
  if (parsed !== undefined) return parsed;
  const message = `expected a range of addresses such as 10.0.0.0/8, found ${quoted(text)}`;
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

/** The inventory file, each entry on its own; conflicts between entries are in `conflicts.ts`. */
export const INVENTORY_SCHEMA = z.strictObject({
  /** Ranges that are never public. */
  clusterRanges: z.array(range).default([]),
  nodes: z
    .array(
      z.strictObject({
        /** The collector's NODE_NAME. */
        name,
        zone: optionalName,
        region: optionalName,
        addresses: z.array(address).default([]),
        /** Where its pods' addresses are from, as Kubernetes' podCIDRs: a stream from there is the node's. */
        podRanges: z.array(range).default([]),
      }),
    )
    .default([]),
  pods: z
    .array(
      z.strictObject({
        name,
        namespace: name,
        /** Name of one of the nodes. */
        node: name,
        ips: z.array(address).default([]),
        /** It is on the host network: its traffic is the node's. */
        hostNetwork: z.boolean().default(false),
        /** What made it, such as { kind: Deployment, name: web }. */
        workload: z.strictObject({ kind: name, name }).optional(),
      }),
    )
    .default([]),
});

/** A valid inventory. */
export type Inventory = z.output<typeof INVENTORY_SCHEMA>;
