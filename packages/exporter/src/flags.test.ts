import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderHelp, renderMarkdown } from '@egressd/daemon/flag-help';
import { expect, test } from '@jest/globals';
import { EXPORTER_FLAGS, type ExporterFlags, parseExporterFlags } from './flags.ts';

function read(...argv: string[]): ExporterFlags {
  const parsed = parseExporterFlags(argv, {});
  if (parsed.kind !== 'values') throw new Error(JSON.stringify(parsed));
  return parsed.values;
}

/** `UPDATE_GOLDEN=1` writes what is found instead of comparing. */
function expectGolden(name: string, text: string): void {
  const path = join(import.meta.dirname, 'testdata', name);
  if (process.env.UPDATE_GOLDEN) writeFileSync(path, text);
  expect(text).toBe(readFileSync(path, 'utf8'));
}

test('-help', () => {
  expectGolden('help.txt', renderHelp('egressd-exporter', 'egressd-exporter', EXPORTER_FLAGS));
});

test('the table of docs/flags.md', () => {
  expectGolden('flags.md', renderMarkdown(EXPORTER_FLAGS));
});

test('the defaults are those that users know', () => {
  expect(read()).toEqual({
    logLevel: 'info',
    httpListenPort: 6060,
    grpcListenPort: 6062,
    configPath: undefined,
    tlsCertFile: undefined,
    tlsKeyFile: undefined,
    tlsCaFile: undefined,
    insecure: false,
    stateDir: undefined,
    stateEphemeral: false,
    kubeconfig: undefined,
    configCheck: false,
    seriesCheck: false,
    version: false,
  });
});

test.each<[string[], string]>([
  [['-tls-key-file=a'], '-tls-cert-file and -tls-key-file: only one is set, a certificate needs both'],
  [['-http-listen-port=70000'], '-http-listen-port: is "70000", expected a whole number from 0 to 65535'],
  [['-series-check'], '-series-check: needs -state-dir, which is not set'],
  [['-state-ephemeral'], '-state-ephemeral: needs -state-dir, which is not set'],
  [['-config=a'], '-config: unknown flag (did you mean -config-path?)'],
])('%j is a mistake', (argv, mistake) => {
  expect(parseExporterFlags(argv, {})).toEqual({ kind: 'mistakes', mistakes: [mistake] });
});
