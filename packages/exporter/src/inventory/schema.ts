import { parseAddress, parseRange } from '@egressd/flow/address';
import { z } from 'zod';

/** Longest name of a node, pod, namespace, zone or region. */
const MAX_NAME = 253;

const name = z.string().min(1).max(MAX_NAME);
const optionalName = z.string().max(MAX_NAME).default('');

const address = z.string().transform((text, context) => {
  const bytes = parseAddress(text);
  if (bytes?.subarray(12).some((byte) => byte !== 0)) return bytes;
  const unspecified = bytes === undefined ? '' : ', the unspecified address';
  const message = `expected an IP address such as 10.0.0.1, found ${JSON.stringify(text)}${unspecified}`;
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

const range = z.string().transform((text, context) => {
  const parsed = parseRange(text);
  if (parsed !== undefined) return parsed;
  const message = `expected a range of addresses such as 10.0.0.0/8, found ${JSON.stringify(text)}`;
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
      }),
    )
    .default([]),
});

/** A valid inventory. */
export type Inventory = z.output<typeof INVENTORY_SCHEMA>;
