import type { Environment } from './proxy.ts';
import type { RemoteWriteSettings } from './remote-write/settings.ts';
import { createRemoteWriteSink } from './remote-write/sink.ts';
import type { Sink } from './sink.ts';

/** One sink of the configuration: exactly one kind. */
export interface SinkSettings {
  readonly prom_remote_write: RemoteWriteSettings;
}

/** What all sinks are given. */
export interface SinkSurroundings {
  /** egressd's version. */
  readonly version: string;
  readonly environment: Environment;
}

/** The sink that the configuration describes. */
export function buildSink(name: string, settings: SinkSettings, surroundings: SinkSurroundings): Sink {
  return createRemoteWriteSink({ name, settings: settings.prom_remote_write, ...surroundings });
}
