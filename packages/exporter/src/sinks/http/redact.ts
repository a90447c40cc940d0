/** Longest quote of a response body. */
const MAX_QUOTE = 300;
/** Shorter values are not taken for secrets: replacing them would mangle words. */
const MIN_SECRET = 4;

/** A response body, fit for one log line: no control characters, no markup, no secret that it gave back, short. */
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

/** A URL for the log: without user, password and query, which can hold a token. */
export function redactUrl(url: URL): string {
  return `${url.origin}${url.pathname}${url.search === '' ? '' : '?...'}`;
}
