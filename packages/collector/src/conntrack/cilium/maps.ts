import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH, type BpfMap, openPinnedMap } from '../../native/bpf.ts';
import { SourceError } from '../source-error.ts';
import { ENDPOINT_KEY_BYTES, ENDPOINT_VALUE_MIN_BYTES } from './endpoints.ts';
import { KEY_BYTES_V4, KEY_BYTES_V6, VALUE_BYTES } from './layout.ts';

/** Where Cilium pins its maps, under the bpf file system. */
export const MAPS_FOLDER = '/sys/fs/bpf/tc/globals';
const ENDPOINTS = 'cilium_lxc';

/** A map's family, and what keeps its connections apart: the number of a remote cluster, 0 for this one. */
interface MapName {
  readonly name: string;
  readonly family: 4 | 6;
  readonly protocols: 'tcp' | 'any';
  readonly zone: number;
}

const GLOBAL: Readonly<Record<string, Omit<MapName, 'name' | 'zone'>>> = {
  cilium_ct4_global: { family: 4, protocols: 'tcp' },
  cilium_ct_any4_global: { family: 4, protocols: 'any' },
  cilium_ct6_global: { family: 6, protocols: 'tcp' },
  cilium_ct_any6_global: { family: 6, protocols: 'any' },
};
/** One map for each remote cluster, with cluster-aware addressing. Those without a number hold only these. */
const PER_CLUSTER = /^cilium_per_cluster_ct_(tcp|any)([46])_(\d{1,5})$/;

/** An open map of connections. */
interface ConnectionMap extends MapName {
  readonly map: BpfMap;
}

/** Cilium's maps as they are pinned now. */
export interface OpenMaps {
  readonly connections: readonly ConnectionMap[];
  readonly endpoints: BpfMap;
  close(): void;
}

/** The folder of the maps: the own one, or with `hostPid`, where that is missing, the one that process 1 sees. */
export function mapsFolder(hostPid: boolean): string {
  return hostPid && !existsSync(MAPS_FOLDER) ? `/proc/1/root${MAPS_FOLDER}` : MAPS_FOLDER;
}

/** The connection maps that are pinned in a folder, by name: cheap, and needs no right to open them. */
export function pinnedMaps(folder: string): MapName[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    const denied = code === 'EACCES' || code === 'EPERM';
    throw new SourceError(denied ? 'permission' : 'system', `cannot list Cilium's maps in ${folder}: ${message}`);
  }
  return names.toSorted().flatMap(describe);
}

function describe(name: string): MapName[] {
  const global = GLOBAL[name];
  if (global !== undefined) return [{ name, zone: 0, ...global }];
  const [, protocols, family, zone] = PER_CLUSTER.exec(name) ?? [];
  if (zone === undefined || Number(zone) > 0xffff) return [];
  return [{ name, protocols: protocols as 'tcp' | 'any', family: family === '4' ? 4 : 6, zone: Number(zone) }];
}

/**
 * Opens all of them, by their paths: an agent that starts may have pinned others there. libbpf must be open.
 * @throws SourceError: none is there, or one has unknown sizes
 */
export function openMaps(folder: string): OpenMaps {
  const open: BpfMap[] = [];
  const close = () => {
    for (const map of open) map.close();
  };
  const take = (name: string) => {
    const map = openPinnedMap(join(folder, name));
    if (map !== undefined) open.push(map);
    return map;
  };
  try {
    const connections = pinnedMaps(folder).flatMap((named) => {
      const map = take(named.name);
      if (map !== undefined) checkSizes(named, map);
      return map === undefined ? [] : [{ ...named, map }];
    });
    if (connections.length === 0) throw new SourceError('absent', `there are no maps of Cilium's in ${folder}`);
    const endpoints = take(ENDPOINTS);
    if (endpoints === undefined) {
      throw new SourceError(
        'no_endpoints',
        `Cilium's map ${ENDPOINTS} is not in ${folder}: traffic between two pods of this node would be counted twice`,
      );
    }
    checkEndpoints(endpoints);
    return { connections, endpoints, close };
  } catch (error) {
    close();
    throw error;
  }
}

function checkSizes({ name, family }: MapName, { type, keyBytes, valueBytes }: BpfMap): void {
  const known = type === BPF_MAP_TYPE_HASH || type === BPF_MAP_TYPE_LRU_HASH;
  if (known && keyBytes === (family === 4 ? KEY_BYTES_V4 : KEY_BYTES_V6) && valueBytes === VALUE_BYTES) return;
  throw unknownSizes(name, { type, keyBytes, valueBytes });
}

function checkEndpoints({ type, keyBytes, valueBytes }: BpfMap): void {
  if (type === BPF_MAP_TYPE_HASH && keyBytes === ENDPOINT_KEY_BYTES && valueBytes >= ENDPOINT_VALUE_MIN_BYTES) return;
  throw unknownSizes(ENDPOINTS, { type, keyBytes, valueBytes });
}

function unknownSizes(name: string, { type, keyBytes, valueBytes }: Pick<BpfMap, 'type' | 'keyBytes' | 'valueBytes'>) {
  return new SourceError(
    'sizes',
    `Cilium's map ${name} is of a kind that is not known here (type ${type}, keys of ${keyBytes} bytes, values of ${valueBytes}): please report it with Cilium's version`,
  );
}
