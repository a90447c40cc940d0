import {
  type Document,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseDocument,
  visit,
  type YAMLMap,
} from 'yaml';
import { type Mistake, mistakeLine } from './issues.ts';
import { structureFaults } from './yaml-structure.ts';

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
  try {
    return readDocument(text, lines, textMaps);
  } catch (error) {
    // Found only while the document is walked: aliases that multiply, and levels that outgrow the stack.
    const { message } = error as Error;
    const mistake = isOverflow(message) ? 'is nested too deeply' : withoutQuotation(message);
    return { value: undefined, mistakes: [mistake], line: () => undefined, place: mistakeLine };
  }
}

function readDocument(text: string, lines: LineCounter, textMaps: readonly string[]): YamlText {
  // Duplicate keys are found by `structureFaults`. Warnings would go to standard error past the log.
  const options = {
    lineCounter: lines,
    prettyErrors: false,
    merge: true,
    uniqueKeys: false,
    logLevel: 'error',
  } as const;
  const document = parseDocument(text, options);
  // The parser goes on after it, and reports every level.
  const overflow = document.errors.find(({ message }) => isOverflow(message));
  if (overflow !== undefined) throw overflow;
  const faults = [
    ...document.errors.map((error) => ({ offset: error.pos[0], text: withoutQuotation(error.message) })),
    ...structureFaults(document),
  ];
  const mistakes = faults.map((fault) => {
    const { line, col } = lines.linePos(fault.offset);
    return `line ${line}, column ${col}: ${fault.text}`;
  });
  keepText(document, textMaps);
  const offsetOf = offsetFinder(document.contents);
  const line = (path: readonly PropertyKey[]): number | undefined => {
    const offset = offsetOf(path);
    return offset === undefined ? undefined : lines.linePos(offset).line;
  };
  const place = (mistake: Mistake): string => {
    const at = line(mistake.path);
    return `${at === undefined ? '' : `line ${at}: `}${mistakeLine(mistake)}`;
  };
  const value = mistakes.length > 0 ? undefined : (document.toJS() ?? undefined);
  return { value, mistakes, line, place };
}

/** The stack of JavaScript has no room for so many levels. */
function isOverflow(message: string): boolean {
  return message.startsWith('Maximum call stack');
}

/** Some messages end with a quotation of the text, which could be a secret. */
function withoutQuotation(message: string): string {
  return message.replace('The : indicator', 'The colon').split(':')[0]!;
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

/**
 * Finds where the setting at a path starts (its key; in a list the entry), or the nearest one around it that is there. The keys of a map
 * are indexed at the first look: there may be as many mistakes as keys.
 */
function offsetFinder(root: unknown): (path: readonly PropertyKey[]) => number | undefined {
  const indexes = new Map<YAMLMap, ReadonlyMap<string, Pair>>();
  const pairsOf = (map: YAMLMap): ReadonlyMap<string, Pair> => {
    const index = indexes.get(map) ?? indexOf(map);
    indexes.set(map, index);
    return index;
  };
  return (path) => {
    let node = root;
    let offset = startOf(root);
    for (const key of path) {
      if (isMap(node)) {
        const pair = pairsOf(node).get(String(key));
        if (pair === undefined) break;
        offset = startOf(pair.key) ?? offset;
        node = pair.value;
      } else if (isSeq(node) && typeof key === 'number') {
        node = node.items[key];
        offset = startOf(node) ?? offset;
      } else break;
    }
    return offset;
  };
}

function indexOf({ items }: YAMLMap): ReadonlyMap<string, Pair> {
  return new Map(items.flatMap((pair) => (isScalar(pair.key) ? [[String(pair.key.value), pair] as const] : [])));
}

function startOf(node: unknown): number | undefined {
  return (node as { range?: readonly number[] | null } | undefined | null)?.range?.[0];
}
