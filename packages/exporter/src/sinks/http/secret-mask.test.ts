import { describe, expect, test } from '@jest/globals';
import { quoteAnswer } from './redact.ts';
import { SecretMask } from './secret-mask.ts';
import { maskUrl } from './settings.ts';

const SECRET = 'tok/en+7&"x<y> 99Z\\q';
const mask = new SecretMask([SECRET, 'p@$$!', 'blue', 'abc']);

const base64 = (text: string) => Buffer.from(text).toString('base64');
const each = (write: (code: number) => string) => SECRET.replace(/./gs, (character) => write(character.charCodeAt(0)));

describe('a secret is taken out of an answer', () => {
  test.each<[string, string]>([
    ['as it is', SECRET],
    ['percent-encoded', encodeURIComponent(SECRET)],
    ['percent-encoded as a form', new URLSearchParams({ '': SECRET }).toString().slice(1)],
    ['percent-encoded twice', encodeURIComponent(encodeURIComponent(SECRET))],
    ['percent-encoded, every character', each((code) => `%${code.toString(16)}`)],
    ['in JSON', JSON.stringify(SECRET)],
    ['in JSON within JSON', JSON.stringify(JSON.stringify([SECRET]))],
    ['in JSON, every character', each((code) => `\\u00${code.toString(16)}`)],
    ['in HTML', 'tok/en+7&amp;&quot;x&lt;y&gt; 99Z\\q'],
    ['in HTML, every character', each((code) => `&#${code};`)],
    ['in HTML, hexadecimal', each((code) => `&#x${code.toString(16)};`)],
    ['in base64', base64(SECRET)],
    ['in base64 of more, one byte before', base64(`:${SECRET}::`)],
    ['in base64 of more, two bytes before', base64(`::${SECRET}:`)],
    ['in base64url', Buffer.from(`user:${SECRET}`).toString('base64url')],
    ['in hexadecimal', Buffer.from(SECRET).toString('hex').toUpperCase()],
    ['split by quotes', '"tok/" + "en+7&\\"x<y>" + " 99Z\\\\q"'],
    ['split by line ends', SECRET.replace('en', '\r\n en')],
    ['in capitals', SECRET.toUpperCase()],
  ])('%s', (_name, form) => {
    expect(quoteAnswer(`key: [${form}] is wrong`, mask)).toMatch(/^key: \[.{0,8}\*{3}.{0,12}\] is wrong$/);
    expect(quoteAnswer(`key: [${form}] is wrong`, mask)).not.toMatch(/tok|99z|dG9r|Rva|5Wl/i);
  });

  test('split by markup', () => {
    expect(quoteAnswer('<p>key s3cr<b>et-of</b>-mine</p> no', new SecretMask(['s3cret-of-mine']))).not.toMatch(
      /s3cr|mine/,
    );
  });

  test('cut off at the end', () => {
    expect(quoteAnswer('invalid key tok/en+7&', mask)).toBe('invalid key ***&');
  });

  test('short ones as they are, and escaped', () => {
    expect(quoteAnswer('p@$$! p%40%24%24! blue abc', mask)).toBe('*** *** *** abc');
  });
});

test('of a long answer the beginning and the end are quoted', () => {
  const advice = 'adjust -distributor.max-recv-msg-size';
  const quote = quoteAnswer(`refused: ${'x'.repeat(10_000)} to fix this, ${advice}`, new SecretMask([]));
  expect(quote).toHaveLength(2005);
  expect(quote).toMatch(/^refused: x/);
  expect(quote.endsWith(advice)).toBe(true);
});

test('what is no secret stays', () => {
  const text = 'remote write: out of order sample, {"code": 7}';
  expect(quoteAnswer(text, mask)).toBe(text);
  expect(quoteAnswer('<html><script>x</script><body>Log in', mask)).toBe('Log in');
  expect(quoteAnswer('a\u202eb\u009bc', mask)).toBe('a\\u202eb c');
});

test.each(['<', '<script', '%25', '&amp;', '\\', 'token en 7 '])('16 KiB of %j take no time', (piece) => {
  const began = performance.now();
  quoteAnswer(piece.repeat(16_384 / piece.length), mask);
  // Some ten milliseconds on a quiet machine.
  expect(performance.now() - began).toBeLessThan(3000);
});

test.each([
  ['https://db.example/api/v1/write', 'https://db.example/api/v1/write'],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: as it is in a file
  ['https://${HOST}/${TENANT}/push?token=x#y', 'https://${HOST}/${TENANT}/push?***'],
  ['https://user:pass@db/x', 'https://***@db/x'],
  ['https://us\ner:pa@ss@db/x', 'https://***@db/x'],
  ['https:\\\\user:pass@db/x', 'https:\\\\***@db/x'],
  ['https:user:pass@db/x', 'https:***@db/x'],
  ['HTTPS://db/x#secret', 'HTTPS://db/x#***'],
])('the URL %j is shown as %s', (url, shown) => {
  expect(maskUrl(url)).toBe(shown);
});
