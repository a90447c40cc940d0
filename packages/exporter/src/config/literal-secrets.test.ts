// biome-ignore-all lint/suspicious/noTemplateCurlyInString: `${VAR}` in the values of a file is what is tested.
import { expect, test } from '@jest/globals';
import { literalSecrets } from './literal-secrets.ts';

test.each<[unknown, string[]]>([
  [undefined, []],
  [{ sinks: [] }, []],
  [{ sinks: { a: { stdout: null }, b: null, c: { http: 'x' } } }, []],
  [
    { sinks: { a: { http: { url: 'https://db/${TOKEN}?token=${TOKEN}', headers: { 'X-API-Key': '${API_KEY}' } } } } },
    [],
  ],
  [{ sinks: { a: { http: { url: 'https://user:${PASSWORD}@db', headers: { Authorization: 'Bearer ${T}' } } } } }, []],
  [{ sinks: { a: { http: { url: 'https://db?tenant=7&x=@', headers: { 'X-Scope-OrgID': '7', Cookie: '' } } } } }, []],
  [
    { sinks: { a: { http: { url: 'https://u:p@db', headers: { authorization: 'Bearer x', 'X-Api-Key': 7 } } } } },
    ['sinks.a.http.url', 'sinks.a.http.headers.authorization', 'sinks.a.http.headers.X-Api-Key'],
  ],
  [
    { sinks: { 'my b': { prom_remote_write: { url: 'https://db?api_key=x', proxyUrl: 'http://u@p' } } } },
    ['sinks["my b"].prom_remote_write.url', 'sinks["my b"].prom_remote_write.proxyUrl'],
  ],
])('%j', (file, expected) => {
  expect(literalSecrets(file)).toEqual(expected);
});
