import { inRange, parseAddress, parseRange } from '@egressd/flow/address';

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy for a URL by `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, or their lower-case names, which win; undefined: none. Loopback is
 * never proxied.
 */
export function proxyFor(url: URL, environment: Environment): string | undefined {
  const read = (name: string) => environment[name.toLowerCase()] || environment[name] || undefined;
  const proxy = read(url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY');
  if (proxy === undefined || isLoopbackName(url.hostname)) return undefined;
  const exceptions = (read('NO_PROXY') ?? '').split(',').map((entry) => entry.trim());
  if (exceptions.some((entry) => entry !== '' && excepts(entry, url))) return undefined;
  return proxy.includes('://') ? proxy : `http://${proxy}`;
}

/** Whether an entry of `NO_PROXY` matches the host: `*`, a domain with its subdomains, an address or a CIDR, each with or without a port. */
function excepts(entry: string, url: URL): boolean {
  if (entry === '*') return true;
  const host = bareHost(url);
  const address = parseAddress(host);
  const range = parseRange(entry);
  if (range !== undefined) return address !== undefined && inRange(range, address);
  const [, name = entry, port] = /^(.*?):(\d+)$/.exec(entry) ?? [];
  if (port !== undefined && port !== (url.port || (url.protocol === 'https:' ? '443' : '80'))) return false;
  const suffix = name.replace(/^\*?\./, '').toLowerCase();
  return host === suffix || host.endsWith(`.${suffix}`);
}

/** The host without the brackets of an IPv6 address. */
export function bareHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
}

function isLoopbackName(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127\./.test(host);
}
