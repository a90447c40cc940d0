import type { FileSinkSettings } from './file/settings.ts';
import type { HttpSinkSettings } from './http-post/settings.ts';
import type { OtlpSettings } from './otlp/settings.ts';
import type { RemoteWriteSettings } from './remote-write/settings.ts';
import type { StdoutSinkSettings } from './stdout/settings.ts';

/** One sink of the configuration: its name, its kind, and the settings of that kind. */
export type SinkSettings = { readonly name: string } & (
  | { readonly kind: 'prom_remote_write'; readonly settings: RemoteWriteSettings }
  | { readonly kind: 'otlp'; readonly settings: OtlpSettings }
  | { readonly kind: 'http'; readonly settings: HttpSinkSettings }
  | { readonly kind: 'file'; readonly settings: FileSinkSettings }
  | { readonly kind: 'stdout'; readonly settings: StdoutSinkSettings }
);
