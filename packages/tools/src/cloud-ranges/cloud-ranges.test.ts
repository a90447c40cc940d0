import { readFileSync, writeFileSync } from 'node:fs';
import { NetworkIndex } from '@egressd/exporter/networks/network-index';
import { parseRangeFile } from '@egressd/exporter/networks/range-file';
import { parseAddress } from '@egressd/flow/address';
import { expect, test } from '@jest/globals';
import { PROVIDERS } from './providers.ts';
import { rangeText } from './range-text.ts';

const at = (name: string) => new URL(`./testdata/${name}`, import.meta.url);
const parsed = new Map(
  PROVIDERS.map(({ name, parse }) => [name, parse(JSON.parse(readFileSync(at(`${name}.json`), 'utf8')))]),
);
const text = rangeText(parsed, '2026-11-28', 1);

// UPDATE_GOLDEN=1 rewrites the file.
test('the file is as the golden file', () => {
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(at('cloud-ranges.tsv'), text);
  expect(text).toBe(readFileSync(at('cloud-ranges.tsv'), 'utf8'));
});

test.each<[string, string | undefined]>([
  ['3.5.141.7', 'aws ap-northeast-2 S3'],
  ['52.5.0.1', 'aws us-east-1 EC2'],
  ['35.180.1.1', 'aws eu-west-3 '],
  ['120.52.22.97', 'aws  '],
  ['2600:1f18::1', 'aws us-east-1 EC2'],
  ['34.72.1.1', 'gcp us-central1 '],
  ['2600:1900:4000::1', 'gcp us-central1 '],
  ['13.65.107.40', 'azure southcentralus AzureStorage'],
  ['13.65.1.1', 'azure southcentralus '],
  ['134.70.9.1', 'oracle us-phoenix-1 OBJECT_STORAGE'],
  ['129.146.1.1', 'oracle us-phoenix-1 '],
  ['198.51.100.1', undefined],
])('the exporter finds %s in %s', (address, expected) => {
  const read = parseRangeFile(text);
  if (!read.ok) throw new Error(read.mistake);
  expect(read.madeMs).toBe(Date.parse('2026-11-28'));
  const found = new NetworkIndex(read.ranges).find(parseAddress(address)!, 0);
  expect(found && `${found.name} ${found.region} ${found.service}`).toBe(expected);
  if (found !== undefined) expect(found.kind).toBe('cloud');
});

test.each([
  ['a provider whose list has another name', () => PROVIDERS[0]!.parse({ ranges: [] }), 'expected a list prefixes'],
  ['a file with few ranges', () => rangeText(parsed, '2026-11-28'), 'aws: 5 ranges, expected 100 or more'],
  [
    'a range that is none',
    () =>
      rangeText(new Map([['gcp', { ranges: [{ cidr: 'x', region: '', service: '' }], date: '' }]]), '2026-11-28', 1),
    'gcp: "x" is no range of addresses',
  ],
])('%s is refused', (_what, make, message) => {
  expect(make).toThrow(message);
});

test.each([
  ['', 'line 1: expected "# egressd cloud ranges 1"'],
  ['# egressd cloud ranges 1\n10.0.0.0/8\taws\t\t\n', 'expected a line "# made YYYY-MM-DD ..."'],
  ['# egressd cloud ranges 1\n# made 2026-11-28\n10.0.0.0/8 aws\n', 'line 3: expected a range'],
  ['# egressd cloud ranges 1\n# made 2026-11-28\n10.0.0.0/99\taws\t\t\n', 'line 3: expected a range'],
])('the exporter refuses %j', (given, mistake) => {
  expect(parseRangeFile(given)).toEqual({ ok: false, mistake: expect.stringContaining(mistake) });
});
