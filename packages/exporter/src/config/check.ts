import { EXIT, type ExitCode } from '@egressd/daemon/lifecycle';
import { printable } from '@egressd/daemon/printable';
import type { LoadedConfig } from './config.ts';
import { firstMistakes } from './issues.ts';

/**
 * The output and exit code of `-config-check`: the configuration as it was read, or every mistake in it.
 * @param others mistakes in files that the configuration names
 */
export function configCheck(
  loaded: LoadedConfig,
  others: readonly string[] = [],
): { readonly text: string; readonly code: ExitCode } {
  const mistakes = [...(loaded.ok ? [] : loaded.mistakes), ...others];
  if (!loaded.ok || mistakes.length > 0) return { text: renderMistakes(mistakes), code: EXIT.failed };
  const warnings = loaded.warnings.map((warning) => `warning: ${warning}\n`);
  return { text: `${loaded.shown}\n${warnings.join('')}ok\n`, code: EXIT.ok };
}

/** The first mistakes of a configuration, one a line, how many more there are, and their count. */
export function renderMistakes(mistakes: readonly string[]): string {
  const count = mistakes.length === 1 ? '1 mistake' : `${mistakes.length} mistakes`;
  return `${firstMistakes(mistakes).map(printable).join('\n')}\n${count}\n`;
}
