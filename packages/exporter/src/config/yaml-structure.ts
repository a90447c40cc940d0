import { type Document, isAlias, isMap, isScalar, type Node, visit, type YAMLMap } from 'yaml';

/** More references than any file by hand has. To follow one takes time that grows with their number. */
const MAX_ALIASES = 1000;

/** What is wrong with how a document is put together, and where in its text. */
interface StructureFault {
  readonly offset: number;
  readonly text: string;
}

/**
 * Checks what the library would follow or find too slowly: keys that repeat (it compares each with each), an alias within what it refers
 * to (a value without an end), and too many aliases. In one walk over the document.
 */
export function structureFaults(document: Document): StructureFault[] {
  const faults: StructureFault[] = [];
  const anchors = new Map<string, Node>();
  let aliases = 0;
  visit(document, (_, node, path) => {
    if (isMap(node)) faults.push(...repeatedKeys(node));
    if (!isAlias(node)) return noteAnchor(node, anchors);
    if (++aliases > MAX_ALIASES) {
      faults.push({ offset: offsetOf(node), text: `more than ${MAX_ALIASES} aliases: write the values out` });
      return visit.BREAK;
    }
    const target = anchors.get(node.source);
    if (target !== undefined && path.includes(target))
      faults.push({ offset: offsetOf(node), text: 'an alias is within what it refers to: write the value out' });
    return undefined;
  });
  return faults;
}

function noteAnchor(node: unknown, anchors: Map<string, Node>): undefined {
  // There is no node where nothing is written.
  const anchor = (node as { readonly anchor?: string } | null)?.anchor;
  if (anchor !== undefined) anchors.set(anchor, node as Node);
}

function repeatedKeys({ items }: YAMLMap): StructureFault[] {
  const known = new Set<unknown>();
  const faults: StructureFault[] = [];
  for (const { key } of items) {
    if (!isScalar(key)) continue;
    if (known.has(key.value)) faults.push({ offset: offsetOf(key), text: 'Map keys must be unique' });
    known.add(key.value);
  }
  return faults;
}

function offsetOf({ range }: Node): number {
  return range?.[0] ?? 0;
}
