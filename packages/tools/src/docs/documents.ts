import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The repository. */
export const ROOT = join(import.meta.dirname, '../../../..');

/** Where documents for people are, from the repository's root. */
const FOLDERS = ['.', 'docs', 'deploy', 'deploy/demo', 'examples', 'findings', '.github', '.github/ISSUE_TEMPLATE'];

/** A text in Markdown. */
export interface Document {
  /** From the repository's root. */
  readonly path: string;
  readonly text: string;
}

/** A fenced block of a document. */
interface Block {
  readonly language: string;
  readonly text: string;
}

/** Every document of the repository. The change log speaks of what once was, and is not among them. */
export const DOCUMENTS: readonly Document[] = FOLDERS.filter((folder) => existsSync(join(ROOT, folder)))
  .flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith('.md') && name !== 'CHANGELOG.md')
      .map((name) => join(folder, name)),
  )
  .map(readDocument);

/** @param path from the repository's root */
export function readDocument(path: string): Document {
  return { path, text: readFileSync(join(ROOT, path), 'utf8') };
}

const FENCED = /^( *)```([\w-]*)[^\n]*\n(.*?)^\1```$/gms;

/** The fenced blocks, all or those of one language. */
export function blocks({ text }: Document, only?: string): Block[] {
  const all = [...text.matchAll(FENCED)].map(([, , language = '', inner = '']) => ({ language, text: inner }));
  return only === undefined ? all : all.filter(({ language }) => language === only);
}

/** The text without fenced blocks. */
export function prose({ text }: Document): string {
  return text.replace(FENCED, '');
}

/** What stands in backquotes within the prose. */
export function inlineCode(document: Document): string[] {
  return [...prose(document).matchAll(/(`+)(.+?)\1/gs)].map(([, , code = '']) => code.trim());
}

/** Commands of the sh blocks with their arguments, without comments and variables set for them. */
export function commands(document: Document): string[] {
  return blocks(document, 'sh')
    .flatMap(({ text }) => text.replaceAll('\\\n', ' ').split('\n'))
    .map((line) => line.replace(/(^|\s+)#.*$/, '').trim())
    .filter((line) => line !== '');
}

/** The anchors that GitHub gives the headings. */
export function anchors(document: Document): Set<string> {
  const seen = new Map<string, number>();
  const headings = [...prose(document).matchAll(/^#{1,6} +(.+?)\s*$/gm)].map(([, title = '']) => title);
  const slugs = headings.map((title) => {
    const slug = title
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    return count === 0 ? slug : `${slug}-${count}`;
  });
  return new Set(slugs);
}
