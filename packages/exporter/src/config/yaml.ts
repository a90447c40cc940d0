import { type Document, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';
import { type Mistake, mistakeLine } from './issues.ts';

/** A YAML text as plain values, and where in the text they are. */
export interface YamlText {
  readonly value: unknown;
  /** Syntax errors of the YAML, a line each, with line and column; then there is no value. */
  readonly mistakes: readonly string[];
  /** Line of a setting, from 1, or of the nearest one around it that is there. */
  line(path: readonly PropertyKey[]): number | undefined;
  /** `line 12: nodes[0].zone: expected text, found a number`. */
  place(mistake: Mistake): string;
}

/**
 * Reads a YAML text (1.2 with merge keys; one document, duplicate keys are mistakes). An empty one has the value undefined.
 * @param textMaps names of maps whose values are text whatever they look like: `X-Scope-OrgID: 007` is no 7
 */
export function readYaml(text: string, textMaps: readonly string[] = []): YamlText {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true });
  const mistakes = document.errors.map((error) => {
    const { line, col } = lines.linePos(error.pos[0]);
    return `line ${line}, column ${col}: ${withoutQuotation(error.message)}`;
  });
  keepText(document, textMaps);
  const line = (path: readonly PropertyKey[]): number | undefined => {
    const offset = offsetOf(document.contents, path);
    return offset === undefined ? undefined : lines.linePos(offset).line;
  };
  const place = (mistake: Mistake): string => {
    const at = line(mistake.path);
    return `${at === undefined ? '' : `line ${at}: `}${mistakeLine(mistake)}`;
  };
  if (mistakes.length > 0) return { value: undefined, mistakes, line, place };
  try {
    return { value: document.toJS() ?? undefined, mistakes, line, place };
  } catch (error) {
    // Aliases that multiply are found only here.
    return { value: undefined, mistakes: [withoutQuotation(error instanceof Error ? error.message : '')], line, place };
  }
}

/** Some messages end with a quotation of the text, which could be a secret. */
function withoutQuotation(message: string): string {
  return message.split(':')[0]!;
}

function keepText(document: Document, textMaps: readonly string[]): void {
  visit(document, {
    Pair(_, { key, value: map }) {
      if (!isScalar(key) || !textMaps.includes(String(key.value)) || !isMap(map)) return;
      for (const { value } of map.items) {
        if (!isScalar(value) || value.source === undefined) continue;
        if (typeof value.value === 'number' || typeof value.value === 'boolean') value.value = value.source;
      }
    },
  });
}

/** Where the setting at a path starts (its key; in a list the entry), or the nearest one around it that is there. */
function offsetOf(root: unknown, path: readonly PropertyKey[]): number | undefined {
  let node = root;
  let offset = startOf(root);
  for (const key of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
      if (pair === undefined) break;
      offset = startOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof key === 'number') {
      node = node.items[key];
      offset = startOf(node) ?? offset;
    } else break;
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  return (node as { range?: readonly number[] | null } | undefined | null)?.range?.[0];
}
