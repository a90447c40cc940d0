/**
 * Metrics as OpenMetrics 1.0 text (https://prometheus.io/docs/specs/om/open_metrics_spec/), which Prometheus prefers: it ends with
 * `# EOF`, so that a page that was cut off is not taken for a whole one. prom-client can write it, but then renames its counters for
 * good; here its Prometheus text is rewritten, piece by piece.
 */
export const OPENMETRICS_CONTENT_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/** The last line of a page. */
export const OPENMETRICS_END = '# EOF\n';

const VERSIONS: readonly (string | undefined)[] = ['1.0.0', '0.0.1', undefined];

/** Whether a client prefers OpenMetrics to the Prometheus text format, or takes both alike. @param accept the header */
export function acceptsOpenMetrics(accept: string | undefined): boolean {
  let [openMetrics, text] = [0, 0];
  for (const range of (accept ?? '').toLowerCase().split(',')) {
    const [type, ...parameters] = range.split(';').map((part) => part.trim());
    const values = new Map(parameters.map((part) => part.split('=', 2) as [string, string | undefined]));
    const q = Number(values.get('q') ?? 1);
    if (type === 'application/openmetrics-text' && VERSIONS.includes(values.get('version')))
      openMetrics = Math.max(openMetrics, q);
    else if (type === 'text/plain' || type === 'text/*' || type === '*/*') text = Math.max(text, q);
  }
  return openMetrics > 0 && openMetrics >= text;
}

/**
 * Prometheus text as OpenMetrics: no empty lines, the name of a counter's family without `_total`, quotation marks in help texts
 * escaped. Every counter's name has to end with `_total`.
 * @param text whole lines
 */
export function toOpenMetrics(text: string): string {
  // Pieces that only go on with the samples of a metric are as they should be.
  if (!text.startsWith('#') && !text.includes('\n#')) return text;
  return text
    .replace(/\n{2,}/g, '\n')
    .replace(/^(# TYPE \w+)_total counter$/gm, '$1 counter')
    .replace(
      /^(# HELP \w+?)(?:_total)? (.*)$/gm,
      (_, begin: string, help: string) => `${begin} ${help.replaceAll('"', '\\"')}`,
    );
}
