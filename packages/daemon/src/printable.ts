/**
 * Characters that a terminal or a page obeys instead of showing them: controls of ASCII and C1 (U+0080 to U+009F), those that change the
 * direction of text or take no room (general category Cf: https://www.unicode.org/reports/tr44/#General_Category_Values), and the two
 * separators that some readers take for a line end.
 */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** A text as one line that shows all that is in it: what cannot be seen is written as JSON writes it, `\u202e`. */
export function printable(text: string): string {
  return text.replace(INVISIBLE, (found) => found.replace(/./gs, escaped));
}

/** One UTF-16 unit as JSON escapes it. */
function escaped(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** A text of at most `max` UTF-16 units, and how many more there were. */
export function shortened(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max)}... (${text.length - max} more characters)`;
}
