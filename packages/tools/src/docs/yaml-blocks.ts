import { parse } from 'yaml';
import { blocks, DOCUMENTS } from './documents.ts';

/** What a YAML block of a document is read by. */
export type YamlKind = 'configuration' | 'inventory' | 'values' | 'rules';

/** A YAML block of a document. */
interface YamlBlock {
  /** Its document, and its place among its YAML blocks. */
  readonly title: string;
  readonly text: string;
  readonly value: unknown;
  readonly kind: YamlKind;
}

const KEYS: Readonly<Record<string, YamlKind>> = {
  ...{ sinks: 'configuration', inventory: 'configuration', exportInterval: 'configuration', networks: 'configuration' },
  ...{ nodes: 'inventory', pods: 'inventory' },
  ...{
    global: 'values',
    collector: 'values',
    exporter: 'values',
    castai: 'values',
    monitoring: 'values',
    tls: 'values',
  },
};

/** @throws Error where it is none of the kinds that are checked */
function kindOf(value: unknown, title: string): YamlKind {
  if (Array.isArray(value)) return 'rules';
  const kind = Object.keys(value ?? {}).flatMap((key) => KEYS[key] ?? [])[0];
  if (kind === undefined) throw new Error(`${title}: neither a configuration, an inventory, values nor rules`);
  return kind;
}

/** The YAML blocks of all documents. */
export const YAML_BLOCKS: readonly YamlBlock[] = DOCUMENTS.flatMap((document) =>
  blocks(document, 'yaml').map(({ text }, index) => {
    const title = `${document.path}, ${index + 1}`;
    const value: unknown = parse(text);
    return { title, text, value, kind: kindOf(value, title) };
  }),
);
