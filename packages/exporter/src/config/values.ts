import { formatDuration, parseDuration } from '@egressd/daemon/duration';
import { z } from 'zod';

/** A duration in milliseconds between two bounds, written as Go writes them. */
export function durationSchema(bounds: { default: number; min: number; max: number }) {
  const [min, max, example] = [bounds.min, bounds.max, bounds.default].map(formatDuration);
  return z.unknown().transform((given, context) => {
    const ms = typeof given === 'string' ? parseDuration(given) : undefined;
    if (ms !== undefined && ms >= bounds.min && ms <= bounds.max) return ms;
    context.addIssue({ code: 'custom', message: `expected a duration from ${min} to ${max}, such as ${example}` });
    return z.NEVER;
  });
}

/** A setting that may be left out, or left empty. */
export function orElse<S extends z.ZodType, const T>(schema: S, fallback: T) {
  return schema.nullish().transform((value): z.output<S> | T => value ?? fallback);
}

/** A boolean that is false where it is left out. */
export const offByDefault = orElse(z.boolean(), false);
/** Strings by name; none where they are left out. */
export const stringMap = orElse(z.record(z.string(), z.string()), {} as Record<string, string>);

/** A path, made absolute. */
export type PathSchema = z.ZodPipe<z.ZodString, z.ZodTransform<string, string>>;
