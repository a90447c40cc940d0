import { createFileSink } from './file/sink.ts';
import type { Environment } from './http/proxy.ts';
import { createHttpSink } from './http-post/sink.ts';
import { createOtlpSink } from './otlp/sink.ts';
import { createRemoteWriteSink } from './remote-write/sink.ts';
import type { SinkSettings } from './settings.ts';
import type { Sink } from './sink.ts';
import { createStdoutSink } from './stdout/sink.ts';

/** What every sink gets beside its settings. */
interface SinkContext {
  /** egressd's version. */
  readonly version: string;
  readonly environment: Environment;
}

/** Makes the sink that the configuration describes. */
export function buildSink(sink: SinkSettings, context: SinkContext): Sink {
  const { name } = sink;
  switch (sink.kind) {
    case 'prom_remote_write':
      return createRemoteWriteSink({ name, settings: sink.settings, ...context });
    case 'otlp':
      return createOtlpSink({ name, settings: sink.settings, ...context });
    case 'http':
      return createHttpSink({ name, settings: sink.settings, ...context });
    case 'file':
      return createFileSink(name, sink.settings);
    case 'stdout':
      return createStdoutSink({ name, settings: sink.settings, stream: process.stdout });
  }
}
