import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { COLLECTOR_FLAGS } from '@egressd/collector/flags';
import { renderMarkdown } from '@egressd/daemon/flag-help';
import { CERTIFICATES_FLAGS } from '@egressd/exporter/certificates/flags';
import { EXPORTER_FLAGS } from '@egressd/exporter/flags';
import { defaultObjects, renderedObjects, rightsTable } from '../chart/rights-table.ts';
import { alertTable } from './alert-table.ts';
import { importTables } from './import-table.ts';
import { selfMetrics } from './self-metrics.ts';

const SETTINGS = join(import.meta.dirname, '../../../exporter/src/config/testdata/settings.yaml');

/** Generated text by the name of its marker. */
type Tables = Readonly<Record<string, string>>;

/** What the code knows better than a writer: by page, from the repository's root, and by marker. */
export async function generatedTables(): Promise<Readonly<Record<string, Tables>>> {
  return {
    'docs/flags.md': {
      'collector flags': renderMarkdown(COLLECTOR_FLAGS),
      'exporter flags': renderMarkdown(EXPORTER_FLAGS),
      'certificates flags': renderMarkdown(CERTIFICATES_FLAGS),
    },
    'docs/configuration.md': { settings: `\`\`\`yaml\n${readFileSync(SETTINGS, 'utf8')}\`\`\`\n` },
    'docs/metrics.md': await selfMetrics(),
    'docs/operations.md': { alerts: alertTable() },
    'docs/architecture.md': { 'import map': importTables() },
    'deploy/THREAT-MODEL.md': {
      rights: rightsTable(defaultObjects()),
      'rights of ebpf': rightsTable(renderedObjects('ebpf')),
    },
  };
}

/**
 * The text with each table between its markers replaced: `<!-- begin: collector flags -->` and `<!-- end: collector flags -->`,
 * each alone on its line.
 * @throws where a marker is missing
 */
export function withTables(text: string, tables: Tables): string {
  return Object.entries(tables).reduce((rest, [name, table]) => {
    const [begin, end] = [`<!-- begin: ${name} -->\n`, `<!-- end: ${name} -->\n`];
    const [from, to] = [rest.indexOf(begin), rest.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`no lines ${begin.trim()} and ${end.trim()}: add them`);
    return `${rest.slice(0, from + begin.length)}\n${table}\n${rest.slice(to)}`;
  }, text);
}
