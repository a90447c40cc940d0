import { parseAddress, parseRange } from '@egressd/flow/address';
import { z } from 'zod';

/** Longest name of a node, pod, namespace, zone or region. */
const MAX_NAME = 253;

const name = z.string().min(1).max(MAX_NAME);
const optionalName = z.string().max(MAX_NAME).default('');

const address = z.string().transform((text, context) => {
  const bytes = parseAddress(text);
  if (bytes?.subarray(12).some((byte) => byte !== 0)) return bytes;
  const problem = bytes === undefined ? 'is none' : 'stands for all addresses, nobody has it';
  context.addIssue({
    code: 'custom',
    message: `expected an IP address such as 10.0.0.1, ${JSON.stringify(text)} ${problem}`,
  });
  return z.NEVER;
});

const range = z.string().transform((text, context) => {
  const parsed = parseRange(text);
  if (parsed !== undefined) return parsed;
  const message = `expected a range of addresses such as 10.0.0.0/8, ${JSON.stringify(text)} is none`;
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

/** The inventory file. Each entry stands alone here; what they may not do together is in `conflicts.ts`. */
export const INVENTORY_SCHEMA = z.strictObject({
  /** Never public, whatever their numbers. */
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
        /** It shares the node's network: its traffic is the node's. */
        hostNetwork: z.boolean().default(false),
      }),
    )
    .default([]),
});

/** An inventory as it was read. */
export type Inventory = z.output<typeof INVENTORY_SCHEMA>;
