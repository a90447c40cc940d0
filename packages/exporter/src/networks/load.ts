import { readFile, stat } from 'node:fs/promises';
import { check, firstMistakes } from '../config/issues.ts';
import { readYaml } from '../config/yaml.ts';
import type { Network, Networks } from './network.ts';
import { NetworkIndex, type NetworkRange } from './network-index.ts';
import { parseRangeFile } from './range-file.ts';
import { NETWORK_FILE_SCHEMA, rangesOf, type WrittenNetworks } from './schema.ts';

/** A longer file is not read: all ranges of all clouds are a tenth of it. */
const MAX_BYTES = 64 * 1024 * 1024;

/** What the configuration says of networks. Paths are absolute. */
export interface NetworkSettings {
  readonly networks: WrittenNetworks;
  readonly networkFiles: readonly string[];
  /** What `npm run cloud-ranges` wrote; undefined: none. */
  readonly cloudRanges: string | undefined;
}

/** Networks, and what they were made of. */
export interface LoadedNetworks extends Networks {
  /** Ranges in use. */
  readonly ranges: number;
  /** When the ranges of clouds were made, Unix milliseconds; undefined: there are none. */
  readonly cloudRangesMadeMs: number | undefined;
}

/** A file of networks cannot be used. It has every mistake, a line each, with file and line. */
export class NetworkFileError extends Error {
  override readonly name = 'NetworkFileError';
  readonly mistakes: readonly string[];

  constructor(mistakes: readonly string[]) {
    super(firstMistakes(mistakes).join('\n'));
    this.mistakes = mistakes;
  }
}

/** Files that networks are read from. */
export function networkPaths({ networkFiles, cloudRanges }: NetworkSettings): string[] {
  return cloudRanges === undefined ? [...networkFiles] : [...networkFiles, cloudRanges];
}

/**
 * Reads all networks: the user's own, whatever the length of their prefixes, come before a cloud's.
 * @throws NetworkFileError
 */
export async function loadNetworks(settings: NetworkSettings): Promise<LoadedNetworks> {
  const files = await Promise.all(settings.networkFiles.map(readNetworkFile));
  const own = [...rangesOf(settings.networks), ...files.flat()];
  const cloud = settings.cloudRanges === undefined ? undefined : await readRangeFile(settings.cloudRanges);
  const [ownIndex, cloudIndex] = [new NetworkIndex(own), new NetworkIndex(cloud?.ranges ?? [])];
  return {
    find: (bytes: Uint8Array, at: number): Network | undefined =>
      ownIndex.find(bytes, at) ?? cloudIndex.find(bytes, at),
    ranges: own.length + (cloud?.ranges.length ?? 0),
    cloudRangesMadeMs: cloud?.madeMs,
  };
}

/** Every mistake of the files, a line each. */
export async function networkMistakes(settings: NetworkSettings): Promise<readonly string[]> {
  try {
    await loadNetworks(settings);
    return [];
  } catch (error) {
    if (error instanceof NetworkFileError) return error.mistakes;
    throw error;
  }
}

async function readNetworkFile(path: string): Promise<NetworkRange[]> {
  const yaml = readYaml(await readText(path));
  const fail = (mistakes: readonly string[]) => new NetworkFileError(mistakes.map((mistake) => `${path}: ${mistake}`));
  if (yaml.mistakes.length > 0) throw fail(yaml.mistakes);
  // A file is empty while it is being written.
  if (yaml.value === undefined) throw fail(['is empty; for no networks write networks: []']);
  const checked = check(NETWORK_FILE_SCHEMA, yaml.value);
  if (!checked.ok) throw fail(checked.mistakes.map(yaml.place));
  return rangesOf(checked.value.networks);
}

async function readRangeFile(path: string) {
  const parsed = parseRangeFile(await readText(path));
  if (!parsed.ok)
    throw new NetworkFileError([`${path}: ${parsed.mistake}; make the file with: npm run cloud-ranges -- --out FILE`]);
  return parsed;
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_BYTES) throw new NetworkFileError([`${path}: is ${size} bytes long, the maximum is ${MAX_BYTES}`]);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof NetworkFileError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new NetworkFileError([`${path}: cannot read the networks: ${code}`]);
  }
}
