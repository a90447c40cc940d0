/**
 * The sum of a metric over all its series that have these labels, from a page of metrics in Prometheus' text format
 * (https://prometheus.io/docs/instrumenting/exposition_formats/); 0 where there is none.
 */
export function sumOf(page: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
  let sum = 0;
  for (const line of page.split('\n')) {
    const [, metric, has = '', value] = /^([\w:]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (metric === name && wanted.every((label) => `,${has},`.includes(`,${label},`))) sum += Number(value);
  }
  return sum;
}
