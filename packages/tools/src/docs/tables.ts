import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { COLLECTOR_FLAGS } from '@egressd/collector/flags';
import { renderMarkdown } from '@egressd/daemon/flag-help';
import { CERTIFICATES_FLAGS } from '@egressd/exporter/certificates/flags';
import { EXPORTER_FLAGS } from '@egressd/exporter/flags';

const SETTINGS = join(import.meta.dirname, '../../../exporter/src/config/testdata/settings.yaml');

/** What the README holds that the program knows better, by the name of its marker. */
export function readmeTables(): Readonly<Record<string, string>> {
  return {
    'collector flags': renderMarkdown(COLLECTOR_FLAGS),
    'exporter flags': renderMarkdown(EXPORTER_FLAGS),
    'certificates flags': renderMarkdown(CERTIFICATES_FLAGS),
    settings: `\`\`\`yaml\n${readFileSync(SETTINGS, 'utf8')}\`\`\`\n`,
  };
}

/**
 * The text with each table between its markers replaced: `<!-- begin: collector flags -->` and `<!-- end: collector flags -->`,
 * each alone on its line.
 * @throws where a marker is missing
 */
export function withTables(text: string, tables: Readonly<Record<string, string>>): string {
  return Object.entries(tables).reduce((rest, [name, table]) => {
    const [begin, end] = [`<!-- begin: ${name} -->\n`, `<!-- end: ${name} -->\n`];
    const [from, to] = [rest.indexOf(begin), rest.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`no lines ${begin.trim()} and ${end.trim()}: add them`);
    return `${rest.slice(0, from + begin.length)}\n${table}\n${rest.slice(to)}`;
  }, text);
}
