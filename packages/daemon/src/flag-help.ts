import { environmentName, type Flags, propertyName } from './flags.ts';

/** What `-help` prints: every flag with its kind, default, environment variable and description. */
export function renderHelp(program: string, about: string, flags: Flags): string {
  const blocks = Object.entries(flags).map(([name, flag]) => {
    const value = flag.bare ? '' : ` ${flag.kind}`;
    const fallback = flag.write(flag.default);
    const shown = fallback === '' ? '' : ` (default ${fallback})`;
    return `  -${name}${value}${shown}\n      ${flag.description}\n      [${environmentName(name)}]\n`;
  });
  return `${about}\n\nUsage: ${program} [-flag=value ...]\n\nFlags, or the environment variable in brackets:\n\n${blocks.join('')}`;
}

/** The table of the flags in docs/flags.md, in the order of their declaration. */
export function renderMarkdown(flags: Flags): string {
  const rows = Object.entries(flags).map(([name, flag]) => {
    const fallback = flag.write(flag.default);
    return `| \`-${name}\` | ${fallback === '' ? '' : `\`${fallback}\``} | ${flag.description.replaceAll('|', '\\|')} |\n`;
  });
  return `| flag | default | meaning |\n| --- | --- | --- |\n${rows.join('')}`;
}

/**
 * Every flag that has a value and is not off, by name, as text: for the line that a daemon logs at its start. No flag holds a
 * secret.
 */
export function effective(flags: Flags, values: Readonly<Record<string, unknown>>): Record<string, string> {
  const texts = Object.entries(flags).map(([name, flag]) => [name, flag.write(values[propertyName(name)])] as const);
  return Object.fromEntries(texts.filter(([, text]) => text !== '' && text !== 'false'));
}

/** What `-config-check` prints of a command line that is right: each flag with the value that holds. */
export function renderValues(flags: Flags, values: Readonly<Record<string, unknown>>): string {
  const lines = Object.entries(flags).map(([name, flag]) => `-${name}=${flag.write(values[propertyName(name)])}\n`);
  return lines.join('');
}
