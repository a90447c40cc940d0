/** Longest quote of what a receiver said. */
export const MAX_QUOTE = 300;
/** Shorter values are no secrets worth tearing words apart for. */
const MIN_SECRET = 4;

/** What a receiver said, fit for one log line: no control characters, no markup, no secret that it gave back, short. */
export function quoteAnswer(text: string, secrets: readonly string[]): string {
  let quote = text;
  for (const secret of secrets) if (secret.length >= MIN_SECRET) quote = quote.replaceAll(secret, '***');
  quote = quote
    .replace(/<(script|style)\b[\s\S]*?<\/\1>/gi, ' ')
    .replace(/<[^>]*>/g, ' ')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
    .replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ')
    .trim();
  return quote.length > MAX_QUOTE ? `${quote.slice(0, MAX_QUOTE)}...` : quote;
}

/** A URL as it may be shown: without user, password and query, which can hold a token. */
export function showUrl(url: URL): string {
  return `${url.origin}${url.pathname}${url.search === '' ? '' : '?...'}`;
}
