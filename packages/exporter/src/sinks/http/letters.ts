/** The letters and digits of a text in lower case, escapes decoded, and where each of them starts and ends in it. */
interface Letters {
  readonly text: string;
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/**
 * Percent-encoding, escapes of JSON and of most languages, and entities of HTML, each also where it was escaped a second time (`%252F`,
 * `\\u002f`, `&amp;lt;`); or any other character.
 */
const UNIT =
  /(?<percent>(?:%(?:25)*[0-9a-f]{2})+)|(?<!\\)\\+(?:u(?<hex>[0-9a-f]{4})|u\{(?<point>[0-9a-f]{1,6})\}|x(?<byte>[0-9a-f]{2})|[bfnrtv])|&(?:amp;)*(?:#x(?<entity>[0-9a-f]{1,6})|#(?<decimal>\d{1,7})|[a-z]{2,8});|./gisu;

/**
 * What of a text stays the same however it is quoted: its letters and digits.
 *
 *   text      key \u0022s3%2Fcr&amp;et 77\u0022 refused
 *   letters   key       s3   cr     et 77      refused
 */
export function lettersOf(text: string): Letters {
  let letters = '';
  const starts: number[] = [];
  const ends: number[] = [];
  for (const { 0: unit, index, groups = {} } of text.matchAll(UNIT)) {
    const found = (decode(unit, groups).match(/[\p{L}\p{N}]+/gu) ?? []).join('').toLowerCase();
    letters += found;
    for (let i = 0; i < found.length; i++) {
      starts.push(index);
      ends.push(index + unit.length);
    }
  }
  return { text: letters, starts, ends };
}

function decode(unit: string, groups: Readonly<Record<string, string | undefined>>): string {
  const { percent, hex, point, byte, entity, decimal } = groups;
  if (percent !== undefined) return decodePercent(percent.replace(/%(?:25)+(?=[0-9a-f]{2})/gi, '%'));
  const code = hex ?? point ?? byte ?? entity;
  if (code !== undefined) return character(Number.parseInt(code, 16));
  if (decimal !== undefined) return character(Number(decimal));
  // Of the other escapes none is a letter.
  return unit.length > 2 || /^\\./.test(unit) ? '' : unit;
}

function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text.replace(/%(..)/g, (_, byte: string) => character(Number.parseInt(byte, 16)));
  }
}

function character(code: number): string {
  return code <= 0x10ffff ? String.fromCodePoint(code) : '';
}
