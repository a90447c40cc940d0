import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Environment } from '@egressd/daemon/flags';
import { EXIT, type ExitCode } from '@egressd/daemon/lifecycle';
import { VERSION } from '@egressd/daemon/version';
import { Aggregate } from '../aggregate/aggregate.ts';
import type { ExporterConfig } from '../config/config.ts';
import { countSets, countSink } from '../series-check/count-series.ts';
import { renderReport } from '../series-check/render.ts';
import { buildSink } from '../sinks/build.ts';
import { CHECKPOINT_NAME } from '../state/checkpoint/checkpoint-store.ts';
import { type Checkpoint, decodeCheckpoint } from '../state/checkpoint/format.ts';

/** What `-series-check` prints, and its exit code. */
interface CheckOutcome {
  readonly text: string;
  readonly code: ExitCode;
}

/**
 * Counts the series that each label set, and each sink of the configuration, makes of what is in the state directory. It only reads: an
 * exporter may be using the directory.
 */
export async function seriesCheck(
  stateDir: string,
  config: ExporterConfig,
  environment: Environment,
): Promise<CheckOutcome> {
  const path = join(stateDir, CHECKPOINT_NAME);
  const checkpoint = await readCheckpoint(path);
  if (typeof checkpoint === 'string') return { text: `${path}: ${checkpoint}\n`, code: EXIT.failed };
  const { series } = new Aggregate().restore(checkpoint.totals);
  const sinks = await Promise.all(
    config.sinks.map(async (settings) => {
      const sink = buildSink(settings, { version: VERSION, environment });
      const count = countSink(series, sink);
      await sink.close();
      return count;
    }),
  );
  const { timeMs } = checkpoint.totals;
  return { text: renderReport({ path, timeMs, seen: series.length, sets: countSets(series), sinks }), code: EXIT.ok };
}

/** A checkpoint, or why there is none. */
async function readCheckpoint(path: string): Promise<Checkpoint | string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    const missing = 'there is none yet: an exporter with this -state-dir writes one every exportInterval';
    return code === 'ENOENT' ? missing : `cannot be read (${code})`;
  }
  const decoded = decodeCheckpoint(bytes);
  return decoded.ok ? decoded.checkpoint : `is no checkpoint of this version (${decoded.reason})`;
}
