import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { COLLECTOR_FLAGS, parseCollectorFlags } from '@egressd/collector/flags';
import { createRegistry } from '@egressd/daemon/metrics';
import { CERTIFICATES_FLAGS } from '@egressd/exporter/certificates/flags';
import { CHECK_INSTALL_FLAGS } from '@egressd/exporter/check-install/flags';
import { EXPORTER_FLAGS, parseExporterFlags } from '@egressd/exporter/flags';
import { describe, expect, test } from '@jest/globals';
import { commands, DOCUMENTS, type Document, inlineCode, ROOT } from './documents.ts';
import { collectorRegistry, exporterRegistry } from './self-metrics.ts';

const VERBS = Object.keys(
  (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object }).scripts,
);
const TIERS = ['unit', 'kernel', 'system', 'chart', 'receivers'];
const FLAGS = new Set([COLLECTOR_FLAGS, EXPORTER_FLAGS, CERTIFICATES_FLAGS, CHECK_INSTALL_FLAGS].flatMap(Object.keys));
/** How flags are written in general, and the one that every program has. */
const PLACEHOLDERS = ['flag', 'help'];
/** Programs that documents speak of, whose flags are not ours. */
const OTHER_PROGRAMS = /^(conntrack|docker|helm|kubectl|node|nft|ps|npx) /;

const METRICS = new Set(
  (await Promise.all([collectorRegistry(), exporterRegistry(), createRegistry()].map((one) => one.getMetricsAsJSON())))
    .flat()
    .map(({ name }) => name),
);
const TRAFFIC = ['transmit_bytes', 'received_bytes', 'transmit_packets', 'received_packets'];
for (const counter of TRAFFIC) METRICS.add(`egressd_${counter}_total`);

const each = DOCUMENTS.map((document) => [document.path, document] as const);

/** Commands, in blocks and in the prose. */
function allCommands(document: Document): string[] {
  return [...commands(document), ...inlineCode(document)];
}

describe('what documents name exists', () => {
  test.each(each)('verbs and tiers: %s', (_, document) => {
    const unknown = allCommands(document).filter((command) => {
      const [, run, verb = ''] = /\bnpm (run )?([\w-]+)/.exec(command) ?? [];
      const tier = /\bnpm test -- ([a-z]+)/.exec(command)?.[1];
      if (tier !== undefined && !TIERS.includes(tier)) return true;
      return run !== undefined && verb !== 'VERB' && !VERBS.includes(verb);
    });
    expect(unknown).toEqual([]);
  });

  test.each(each)('flags: %s', (_, document) => {
    const named = inlineCode(document)
      .filter((code) => !OTHER_PROGRAMS.test(code))
      .flatMap((code) => [...code.matchAll(/(?:^|\s)-([a-z][a-z0-9-]+)/g)].map(([, flag = '']) => flag));
    expect(named.filter((flag) => !FLAGS.has(flag) && !PLACEHOLDERS.includes(flag))).toEqual([]);
  });

  test.each(each)('metrics: %s', (_, { text }) => {
    const named = text.match(/\begressd_[a-z_]+[a-z]\b(?!\*)/g) ?? [];
    expect([...new Set(named)].filter((name) => !METRICS.has(name))).toEqual([]);
  });

  test.each(each)('files: %s', (_, document) => {
    const named = inlineCode(document).filter((code) =>
      /^(packages|deploy|docs|examples|findings|proto)\/[\w./-]+$/.test(code),
    );
    expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });
});

describe('daemons take the flags that they are started with', () => {
  const started = DOCUMENTS.flatMap((document) => allCommands(document)).flatMap((command) => {
    const [, daemon, args = ''] = /npm run (collector|exporter) -- (-.*)$/.exec(command) ?? [];
    return daemon === undefined ? [] : [[daemon, args.split(/\s+/)] as const];
  });

  test('some are', () => {
    expect(started.length).toBeGreaterThan(2);
  });

  test.each(started)('%s %s', (daemon, args) => {
    const parse = daemon === 'collector' ? parseCollectorFlags : parseExporterFlags;
    expect(parse(args, { NODE_NAME: 'host-a' }).kind).toBe('values');
  });
});
