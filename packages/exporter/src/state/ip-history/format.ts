import { createHash } from 'node:crypto';
import { addressKey, addressOfKey, formatAddress, parseAddress } from '@egressd/flow/address';
import { z } from 'zod';
import type { AddressSpan, IpHistoryImage } from '../../owners/ip-history-image.ts';
import type { UnusableReason } from '../file-outcome.ts';

/** The first line begins with it, and the version of what follows. */
const NAME = 'egressd-ip-history';
const VERSION = 1;

/** A history from its bytes, or why they cannot be used. */
type DecodedIpHistory =
  | { readonly ok: true; readonly history: IpHistoryImage }
  | { readonly ok: false; readonly reason: UnusableReason };

/** `[address, from, to]`; null: no beginning is known, or no end yet. */
const time = z
  .tuple([z.string(), z.number().nullable(), z.number().nullable()])
  .transform(([text, fromMs, toMs], context): AddressSpan => {
    const bytes = parseAddress(text);
    if (bytes === undefined) {
      context.addIssue('expected an address');
      return z.NEVER;
    }
    return {
      key: addressKey(bytes),
      fromMs: fromMs ?? Number.NEGATIVE_INFINITY,
      toMs: toMs ?? Number.POSITIVE_INFINITY,
    };
  });

const schema = z.strictObject({
  savedMs: z.number(),
  sources: z.array(z.string()),
  nodes: z.array(
    z.strictObject({
      name: z.string(),
      zone: z.string(),
      region: z.string(),
      sources: z.array(z.string()),
      times: z.strictObject({ declared: z.array(time), kernel: z.array(time) }),
    }),
  ),
  pods: z.array(
    z.strictObject({
      namespace: z.string(),
      name: z.string(),
      node: z.string(),
      workload: z.strictObject({ kind: z.string(), name: z.string() }).optional(),
      living: z.strictObject({ source: z.string(), key: z.string() }).optional(),
      times: z.array(time),
    }),
  ),
});

/**
 * A history as bytes: a header line, then JSON.
 *
 *   egressd-ip-history 1 <bytes after this line> <their SHA-256, hex>\n
 *   {"savedMs":...,"sources":["kubernetes"],"nodes":[...],"pods":[{...,"times":[["10.1.0.7",1700000000000,null]]}]}
 */
export function encodeIpHistory({ leftOut: _, ...history }: IpHistoryImage): Buffer {
  const body = Buffer.from(
    JSON.stringify({
      ...history,
      nodes: history.nodes.map((node) => ({
        ...node,
        times: { declared: node.times.declared.map(rowOf), kernel: node.times.kernel.map(rowOf) },
      })),
      pods: history.pods.map((pod) => ({ ...pod, times: pod.times.map(rowOf) })),
    }),
  );
  return Buffer.concat([Buffer.from(`${NAME} ${VERSION} ${body.length} ${digest(body)}\n`), body]);
}

function rowOf({ key, fromMs, toMs }: AddressSpan): [string, number | null, number | null] {
  const known = (ms: number) => (Number.isFinite(ms) ? ms : null);
  return [formatAddress(addressOfKey(key)), known(fromMs), known(toMs)];
}

/** Decodes what `encodeIpHistory` wrote: whole, or not at all. */
export function decodeIpHistory(bytes: Buffer): DecodedIpHistory {
  const end = bytes.indexOf(0x0a);
  const header = bytes.subarray(0, end < 0 ? bytes.length : end).toString('latin1');
  const [name, version, length, hash] = header.split(' ');
  // Truncated within the name it may have been ours.
  if (name !== NAME) return { ok: false, reason: NAME.startsWith(header) ? 'damaged' : 'foreign' };
  if (end < 0) return { ok: false, reason: 'damaged' };
  if (version !== String(VERSION)) return { ok: false, reason: 'version' };
  const body = bytes.subarray(end + 1);
  if (length !== String(body.length) || hash !== digest(body)) return { ok: false, reason: 'damaged' };
  return parse(body);
}

function parse(body: Buffer): DecodedIpHistory {
  try {
    const read = schema.safeParse(JSON.parse(body.toString('utf8')));
    if (!read.success) return { ok: false, reason: 'damaged' };
    const pods = read.data.pods.map(({ workload, living, ...pod }) => ({ ...pod, workload, living }));
    return { ok: true, history: { ...read.data, pods, leftOut: 0 } };
  } catch {
    return { ok: false, reason: 'damaged' };
  }
}

function digest(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex');
}
