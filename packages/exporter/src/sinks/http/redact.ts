import { printable } from '@egressd/daemon/printable';
import type { SecretMask } from './secret-mask.ts';

/** So much of the beginning and of the end of what a peer wrote is quoted: what to do about a refusal often stands last. */
const QUOTED = 1000;

/** A response body, fit for one log line: no control characters, no markup, no secret that it gave back, short. */
export function quoteAnswer(text: string, mask: SecretMask): string {
  if (text === '') return '';
  // A secret may hold what looks like markup, and markup may split one.
  return quoteText(withoutMarkup(mask.apply(text)), mask);
}

/** Any other text of a peer, such as an error of its connection, in the same way. */
export function quoteText(text: string, mask: SecretMask): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  const quote = printable(mask.apply(text).replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ')).trim();
  return quote.length > 2 * QUOTED ? `${quote.slice(0, QUOTED)} ... ${quote.slice(-QUOTED)}` : quote;
}

/** In one pass each, whatever is left open. */
function withoutMarkup(text: string): string {
  return text.replace(/<(script|style)\b.*?(?:<\/\1\s*>|$)/gis, ' ').replace(/<[^<>]*>/g, ' ');
}
