/**
 * Makes the file that `cloudRanges` of the exporter's configuration names, from the files of the providers.
 *
 *   npm run cloud-ranges -- --out cloud-ranges.tsv                   fetches all of them
 *   npm run cloud-ranges -- --out FILE --aws ip-ranges.json --only aws   from a file that was fetched before; only these providers
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { PROVIDERS, type ProviderRanges } from './providers.ts';
import { rangeText } from './range-text.ts';

const TIMEOUT_MS = 60_000;
const FILE = { type: 'string' } as const;

const { values } = parseArgs({
  options: { out: FILE, only: FILE, aws: FILE, gcp: FILE, azure: FILE, oracle: FILE },
});

async function fetched(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  return response.text();
}

async function textOf({ name, url, link }: (typeof PROVIDERS)[number]): Promise<string> {
  const file = values[name as 'aws'];
  if (file !== undefined) return readFileSync(file, 'utf8');
  const text = await fetched(url);
  if (link === undefined) return text;
  const [found] = link.exec(text) ?? [];
  if (found === undefined)
    throw new Error(`${url}: no link to the file; fetch it with a browser and give --${name} FILE`);
  return fetched(found);
}

async function main(): Promise<void> {
  const { out, only } = values;
  if (out === undefined) throw new Error('where to? give --out FILE');
  const all = new Map<string, ProviderRanges>();
  for (const provider of PROVIDERS) {
    if (only !== undefined && !only.split(',').includes(provider.name)) continue;
    all.set(provider.name, provider.parse(JSON.parse(await textOf(provider))));
  }
  writeFileSync(out, rangeText(all, new Date().toISOString().slice(0, 10)));
  for (const [name, { ranges, date }] of all) process.stdout.write(`${name}: ${ranges.length} ranges of ${date}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`cloud-ranges: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
