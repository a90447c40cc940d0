import type { HttpSettings } from '../sinks/http/settings.ts';
import type { SinkSettings } from '../sinks/settings.ts';

/**
 * A sink's settings with what may be shown of them.
 * @param file the value of the configuration file before `${VAR}` was replaced
 * @param secrets the values of the variables in them
 */
export function withWritten(sink: SinkSettings, file: unknown, secrets: readonly string[]): SinkSettings {
  const text = (key: string) => at(file, 'sinks', sink.name, sink.kind, key) as string | undefined;
  const add = <S extends HttpSettings>(settings: S): S => ({
    ...settings,
    written: { url: String(text('url')), proxyUrl: text('proxyUrl') ?? undefined, secrets },
  });
  if (sink.kind === 'http') return { ...sink, settings: add(sink.settings) };
  if (sink.kind === 'prom_remote_write') return { ...sink, settings: add(sink.settings) };
  if (sink.kind === 'otlp') return { ...sink, settings: add(sink.settings) };
  return sink;
}

/** What is at a path of a file's value. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], value);
}
