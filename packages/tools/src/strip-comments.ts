/** After one of these, or at the beginning, a slash begins a regular expression; after a value it divides. */
const BEFORE_REGEX =
  /(?:^|[([{},;:=!&|?+\-*%^~<>]|\b(?:return|typeof|case|of|in|do|else|void|delete|throw|await|yield))$/;

/**
 * TypeScript or JavaScript without its comments: each is replaced by spaces, so that all else keeps its line and column. Strings,
 * templates (with what is nested in them) and regular expressions stay as they are, whatever they look like. What follows `)` or `]`
 * is taken for a division: a regular expression there, as after `if (...)`, would have to be written otherwise.
 */
export function stripComments(source: string): string {
  let out = '';
  let at = 0;
  /** Braces that are open in each `${` of the templates around. */
  const templates: number[] = [];

  const keep = (end: number): void => {
    out += source.slice(at, end);
    at = end;
  };
  const blank = (end: number): void => {
    out += source.slice(at, end).replace(/[^\n]/g, ' ');
    at = end;
  };
  /** Up to the end of a template's text: its closing backtick, or a `${` that opens code. */
  const template = (from: number): void => {
    let end = from;
    while (end < source.length && source[end] !== '`' && !source.startsWith('${', end))
      end += source[end] === '\\' ? 2 : 1;
    if (source[end] === '$') templates.push(0);
    keep(end + (source[end] === '$' ? 2 : 1));
  };

  while (at < source.length) {
    const char = source[at]!;
    if (source.startsWith('//', at)) blank(endOf(source, '\n', at));
    else if (source.startsWith('/*', at)) blank(endOf(source, '*/', at + 2) + 2);
    else if (char === "'" || char === '"') keep(quotedEnd(source, at, char));
    else if (char === '`') template(at + 1);
    else if (char === '/' && BEFORE_REGEX.test(out.trimEnd())) keep(regexEnd(source, at));
    else if (char === '}' && templates.at(-1) === 0) {
      templates.pop();
      template(at + 1);
    } else {
      if (templates.length > 0 && (char === '{' || char === '}'))
        templates[templates.length - 1]! += char === '{' ? 1 : -1;
      keep(at + 1);
    }
  }
  return out;
}

function endOf(source: string, what: string, from: number): number {
  const end = source.indexOf(what, from);
  return end < 0 ? source.length : end;
}

function quotedEnd(source: string, from: number, quote: string): number {
  for (let i = from + 1; i < source.length; i++) {
    if (source[i] === '\\') i++;
    else if (source[i] === quote || source[i] === '\n') return i + 1;
  }
  return source.length;
}

/** A slash within brackets does not end it. */
function regexEnd(source: string, from: number): number {
  let brackets = false;
  for (let i = from + 1; i < source.length; i++) {
    const char = source[i];
    if (char === '\\') i++;
    else if (char === '[') brackets = true;
    else if (char === ']') brackets = false;
    else if (char === '/' && !brackets) return i + 1;
  }
  return source.length;
}
