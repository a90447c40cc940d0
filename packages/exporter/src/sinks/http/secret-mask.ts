import { lettersOf } from './letters.ts';

const MASK = '***';
/** Shorter values are not taken for secrets: replacing them would mangle words. */
const MIN_LENGTH = 4;
/** From so many letters and digits on a secret is found whatever stands between them. */
const MIN_LETTERS = 8;
/** A text that was cut may end within a secret: so many of its letters are enough there. */
const MIN_LETTERS_AT_END = 6;

/**
 * Takes secrets out of a text that somebody else wrote, such as a receiver that gives back what it was sent: as they are, escaped in any
 * way that `lettersOf` decodes, in base64 or hexadecimal, alone or within a longer text, or with quotes, blanks or markup in between.
 */
export class SecretMask {
  /** Secrets with few letters, as they are written. */
  readonly #exact: readonly string[];
  /** The letters of all others, and of their encodings. */
  readonly #letters: readonly string[];

  constructor(secrets: readonly string[]) {
    const known = [...new Set(secrets)].filter((secret) => secret.length >= MIN_LENGTH);
    const isLong = (secret: string) => lettersOf(secret).text.length >= MIN_LETTERS;
    const encoded = known.flatMap(encodingsOf);
    this.#exact = known.filter((secret) => !isLong(secret)).flatMap(escapesOf);
    this.#letters = [...new Set([...known, ...encoded].filter(isLong).map((secret) => lettersOf(secret).text))];
  }

  /** The text with `***` in place of each secret. */
  apply(text: string): string {
    let masked = text;
    for (const secret of this.#exact) masked = masked.replaceAll(secret, MASK);
    const { text: letters, starts, ends } = lettersOf(masked);
    let shown = '';
    let at = 0;
    for (const [from, to] of this.#found(letters)) {
      if (ends[to - 1]! <= at) continue;
      shown += masked.slice(at, Math.max(at, starts[from]!)) + MASK;
      at = ends[to - 1]!;
      // The padding of base64 belongs to it.
      while (masked[at] === '=') at++;
    }
    return shown + masked.slice(at);
  }

  /** Ranges of letters that belong to secrets, by their start. */
  #found(letters: string): (readonly [from: number, to: number])[] {
    const ranges: (readonly [number, number])[] = [];
    for (const secret of this.#letters) {
      for (let at = letters.indexOf(secret); at >= 0; at = letters.indexOf(secret, at + 1))
        ranges.push([at, at + secret.length]);
      const cut = lengthAtEnd(letters, secret);
      if (cut > 0) ranges.push([letters.length - cut, letters.length]);
    }
    return ranges.sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  }
}

/** How much of the beginning of a secret the letters end with; 0: too little. */
function lengthAtEnd(letters: string, secret: string): number {
  for (let length = secret.length - 1; length >= MIN_LETTERS_AT_END; length--)
    if (letters.endsWith(secret.slice(0, length))) return length;
  return 0;
}

/** A secret in hexadecimal, and in base64 as it looks at each of three places within a longer text, without the letters that it shares. */
function encodingsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const base64 = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64url');
    const shared = ((before + bytes.length) * 8) % 6 === 0 ? 0 : 1;
    return text.slice(Math.ceil((before * 8) / 6), text.length - shared);
  });
  return [bytes.toString('hex'), ...base64];
}

/** A secret as URLs, JSON and HTML have it. */
function escapesOf(secret: string): string[] {
  const html = secret.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return [
    secret,
    encodeURI(secret.toWellFormed()),
    encodeURIComponent(secret.toWellFormed()),
    JSON.stringify(secret).slice(1, -1),
    html,
    html.replaceAll('"', '&quot;').replaceAll("'", '&#39;'),
    html.replaceAll('"', '&#34;').replaceAll("'", '&#x27;'),
  ];
}
