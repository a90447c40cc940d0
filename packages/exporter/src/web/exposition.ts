/** Text is yielded in pieces of about this many characters. */
const PIECE = 64 * 1024;

/** Labels in the Prometheus text format 0.0.4: sorted by name, empty values left out. */
export function formatLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels)
    .filter(([, value]) => value !== '')
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}="${escapeValue(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

/** https://prometheus.io/docs/instrumenting/exposition_formats/: backslash, quotation mark and line feed are escaped. */
function escapeValue(value: string): string {
  return value.replace(/[\\"\n]/g, (found) => (found === '\n' ? '\\n' : `\\${found}`));
}

/** A counter with all its series as text, in pieces. `help` has neither a backslash nor a line feed. */
export function* formatCounter(
  name: string,
  help: string,
  samples: Iterable<readonly [labels: string, value: number]>,
) {
  let piece = `# HELP ${name} ${help}\n# TYPE ${name} counter\n`;
  for (const [labels, value] of samples) {
    piece += `${name}${labels} ${value}\n`;
    if (piece.length >= PIECE) {
      yield piece;
      piece = '';
    }
  }
  yield piece;
}
