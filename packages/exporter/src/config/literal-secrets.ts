import { formatPath } from './issues.ts';

const SECRET_HEADER = /authorization|token|key|secret|password|cookie/i;
const SECRET_QUERY = /[?&][\w.-]*(?:token|key|secret|password|passwd|signature|auth)[\w.-]*=[^&#$]/i;

/**
 * Settings whose value looks like a secret and stands in the file itself rather than as `${VAR}`: whoever may read the file has it. By
 * their paths, `sinks.a.http.headers.Authorization`. The notes of the chart name the same ones.
 * @param file the value of the configuration file before `${VAR}` was replaced
 */
export function literalSecrets(file: unknown): readonly string[] {
  return entriesOf(field(file, 'sinks')).flatMap(([sink, kinds]) =>
    entriesOf(kinds).flatMap(([kind, settings]) => {
      const urls = ['url', 'proxyUrl'].filter((key) => isSecretUrl(String(field(settings, key) ?? '')));
      const headers = entriesOf(field(settings, 'headers')).filter(isSecretHeader);
      const paths = [...urls.map((key) => [key]), ...headers.map(([name]) => ['headers', name])];
      return paths.map((path) => formatPath(['sinks', sink, kind, ...path]));
    }),
  );
}

function isSecretUrl(url: string): boolean {
  const [user] = /\/\/[^/?#]*@/.exec(url) ?? [];
  return (user !== undefined && !user.includes('${')) || SECRET_QUERY.test(url);
}

function isSecretHeader([name, value]: readonly [string, unknown]): boolean {
  return SECRET_HEADER.test(name) && value !== '' && !String(value ?? '${').includes('${');
}

function field(value: unknown, key: string): unknown {
  return Object.fromEntries(entriesOf(value))[key];
}

function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
}
