import { CONNECTION_LIMITS } from './connections.ts';
import { type FileShares, shareFiles } from './open-files.ts';

/** What there is least of: memory, or descriptors, of which each stream may need one. */
export type StreamBound = 'memory' | 'open_files';

/** How many streams there may be at a time, and what bounds them. */
export interface StreamLimit {
  readonly streams: number;
  readonly by: StreamBound;
}

/** What to do where there are as many. */
export const STREAM_ADVICE: Readonly<Record<StreamBound, string>> = {
  memory: 'give the exporter more memory',
  open_files: 'raise the limit of open files of the exporter (ulimit -n, LimitNOFILE)',
};

/** Of this process. */
export const FILES = shareFiles(CONNECTION_LIMITS.all);

/** The lesser of both limits. @param byMemory streams that the memory has room for */
export function streamLimit(byMemory: number, { streams }: Pick<FileShares, 'streams'> = FILES): StreamLimit {
  return streams < byMemory ? { streams, by: 'open_files' } : { streams: byMemory, by: 'memory' };
}
