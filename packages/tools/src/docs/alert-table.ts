import { readAlerts } from '../alerts/alerts.ts';

/** The chart's alerts as a table: what each says, with the label that it names in place of its value, and what to do. */
export function alertTable(): string {
  const rows = readAlerts().map(({ alert, labels, annotations }) => {
    const cells = [`\`${alert}\``, labels.severity, withoutTemplates(annotations.summary), annotations.description];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  });
  return `| alert | severity | says | do |\n| --- | --- | --- | --- |\n${rows.join('')}`;
}

/** `{{ or $labels.node $labels.instance }}` -> NODE, `{{ $value }}` -> N. */
function withoutTemplates(text: string): string {
  return text
    .replace(/\{\{ \$value[^}]*\}\}/g, 'N')
    .replace(/\{\{ (?:or )?\$labels\.(\w+)[^}]*\}\}/g, (_, label: string) => label.toUpperCase());
}
