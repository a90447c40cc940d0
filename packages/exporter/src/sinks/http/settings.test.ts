import { describe, expect, test } from '@jest/globals';
import { checkRemoteWriteSettings, type RemoteWriteSettings } from '../remote-write/settings.ts';

const GOOD: RemoteWriteSettings = {
  url: 'http://db:8428/api/v1/write',
  headers: {},
  labels: {},
  sendReceivedBytesMetric: false,
  sendPacketsMetric: false,
  regionLabels: false,
  timeoutMs: 30_000,
  maxSeries: 100_000,
};

describe('checkRemoteWriteSettings', () => {
  test.each<[string, Partial<RemoteWriteSettings>, string[]]>([
    ['nothing wrong', {}, []],
    ['custom labels', { labels: { cluster: 'a', Region: '', _x1: 'y' } }, []],
    ['no URL', { url: 'db:8428' }, ['url']],
    ['not a URL', { url: 'nonsense' }, ['url']],
    ['a password with a bare %', { url: 'http://u:50%@db/' }, ['url']],
    ['another scheme', { proxyUrl: 'socks5://x' }, ['proxyUrl']],
    ['a name of ours', { labels: { proto: 'x' } }, ['labels.proto']],
    ['a name of ours that is off', { labels: { scope: 'x' } }, ['labels.scope']],
    ['the metric name', { labels: { __name__: 'x' } }, ['labels.__name__']],
    ['no label name', { labels: { 'a-b': 'x', '1a': 'x', é: 'x' } }, ['labels.1a', 'labels.a-b', 'labels.é']],
    ['no header name', { headers: { 'a b': 'x' } }, ['headers.a b']],
    ['a header of two lines', { headers: { a: 'x\r\ny: z' } }, ['headers.a']],
    ['a header of the connection', { headers: { 'Content-Length': '1' } }, ['headers.Content-Length']],
    ['no series', { maxSeries: 0 }, ['maxSeries']],
    ['half a certificate', { tls: { certFile: 'x' } }, ['tls']],
    ['two ways in', { url: 'http://u:p@db/', bearerTokenFile: 'x' }, ['']],
    [
      'two ways in by header',
      { headers: { authorization: 'x' }, basicAuth: { username: 'u', passwordFile: 'p' } },
      [''],
    ],
  ])('%s', (_name, changes, paths) => {
    const issues = checkRemoteWriteSettings({ ...GOOD, ...changes });
    expect(issues.map(({ path }) => path.join('.')).sort()).toEqual(paths);
  });

  test('no message holds the value of a header or URL', () => {
    const issues = checkRemoteWriteSettings({ ...GOOD, url: 'ftp://u:secret@db/', headers: { a: 'secret\n' } });
    expect(issues).toHaveLength(2);
    expect(JSON.stringify(issues)).not.toContain('secret');
  });
});
