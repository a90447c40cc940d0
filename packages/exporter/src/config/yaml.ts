import { LineCounter, parseDocument } from 'yaml';
import { type Mistake, mistakeLine } from './issues.ts';

/** A YAML text as plain values, and where in the text they are. */
export interface YamlText {
  readonly value: unknown;
  /** What is wrong with the YAML itself, a line each, with line and column; then there is no value. */
  readonly mistakes: readonly string[];
  /** `line 12: nodes[0].zone: expected text, found a number`. */
  place(mistake: Mistake): string;
}

/** Reads a YAML text (1.2; one document, duplicate keys are mistakes). An empty one has the value undefined. */
export function readYaml(text: string): YamlText {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const mistakes = document.errors.map((error) => {
    const { line, col } = lines.linePos(error.pos[0]);
    // Some messages end with a quotation of the text, which could be a secret.
    return `line ${line}, column ${col}: ${error.message.replace(/: ".*"$/s, '')}`;
  });
  const place = (mistake: Mistake): string => {
    const at = offsetOf(document, mistake.path);
    const where = at === undefined ? '' : `line ${lines.linePos(at).line}: `;
    return `${where}${mistakeLine(mistake)}`;
  };
  return { value: mistakes.length > 0 ? undefined : (document.toJS() ?? undefined), mistakes, place };
}

/** Where the value at a path begins, or the nearest one around it that is there. */
function offsetOf(document: ReturnType<typeof parseDocument>, path: readonly PropertyKey[]): number | undefined {
  for (let length = path.length; length >= 0; length--) {
    const node: unknown = document.getIn(path.slice(0, length), true);
    const range = (node as { range?: readonly number[] | null } | undefined)?.range;
    if (range?.[0] !== undefined) return range[0];
  }
  return undefined;
}
