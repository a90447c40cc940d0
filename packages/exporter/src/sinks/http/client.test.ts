// biome-ignore-all lint/suspicious/noTemplateCurlyInString: `${VAR}` as it is in a file is what is shown.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { type CertificateFiles, CertificateFolder } from '@egressd/world/certificates';
import { status, TestReceiver } from '@egressd/world/receivers/test-receiver';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { HttpClient } from './client.ts';
import type { HttpSettings } from './settings.ts';

const BODY = Buffer.from('body');
const LIVE = new AbortController().signal;

const folder = new CertificateFolder();
const closers: (() => Promise<void>)[] = [];
let authority: CertificateFiles;
let otherAuthority: CertificateFiles;
let server: CertificateFiles;

beforeAll(() => {
  authority = folder.authority('authority');
  otherAuthority = folder.authority('other-authority');
  server = folder.certificate('server', authority);
});

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

afterAll(() => folder[Symbol.dispose]());

function client(settings: Partial<HttpSettings> & { url: string }, environment = {}): HttpClient {
  const made = new HttpClient({ headers: {}, timeoutMs: 5000, ...settings }, environment);
  closers.push(() => made.close());
  return made;
}

/** The outcome of one request: the status, or the kind of failure. */
async function send(of: HttpClient): Promise<number | string> {
  const response = await of.send('POST', { 'x-own': '1' }, BODY, LIVE);
  return 'failure' in response ? `${response.failure}: ${response.message}` : response.status;
}

async function receiver(tls?: Parameters<typeof TestReceiver.start>[1]): Promise<TestReceiver> {
  const started = await TestReceiver.start(status(204), tls);
  closers.push(() => started.close());
  return started;
}

function pems({ cert, key }: CertificateFiles) {
  return { cert: readFileSync(cert), key: readFileSync(key) };
}

function file(name: string, text: string): string {
  const path = join(folder.folder, name);
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
  return path;
}

describe('TLS', () => {
  const url = (of: TestReceiver, host = '127.0.0.1') => `https://${host}:${of.port}/write`;

  test('a certificate of the right authority', async () => {
    const to = await receiver(pems(server));
    expect(await send(client({ url: url(to), tls: { caFile: authority.cert } }))).toBe(204);
    expect(await send(client({ url: url(to, 'localhost'), tls: { caFile: authority.cert } }))).toBe(204);
  });

  test.each<[string, (of: TestReceiver) => HttpSettings['tls'], RegExp]>([
    ['unknown authority', () => ({}), /^tls: .*tls.caFile/],
    ['other authority', () => ({ caFile: otherAuthority.cert }), /^tls: /],
    ['it is for another name', () => ({ caFile: authority.cert, serverName: 'db.example' }), /^tls: /],
    ['there is no file', () => ({ caFile: '/nowhere/ca.pem' }), /^credentials: tls.caFile: \/nowhere\/ca.pem .*ENOENT/],
    ['the file is empty', () => ({ caFile: file('empty.pem', '\n') }), /^credentials: .*empty.pem is empty/],
    ['the file is no certificate', () => ({ certFile: file('x', 'x'), keyFile: file('y', 'y') }), /^tls: /],
  ])('refused: %s', async (_name, tls, expected) => {
    const to = await receiver(pems(server));
    expect(await send(client({ url: url(to), tls: tls(to) }))).toMatch(expected);
    expect(to.requests).toEqual([]);
  });

  test('any certificate with insecureSkipVerify', async () => {
    const to = await receiver(pems(server));
    expect(await send(client({ url: url(to), tls: { insecureSkipVerify: true } }))).toBe(204);
  });

  test('plain text to a server of TLS, and the other way round', async () => {
    const secure = await receiver(pems(server));
    const plain = await receiver();
    expect(await send(client({ url: `http://127.0.0.1:${secure.port}/` }))).toMatch(/^closed: /);
    expect(await send(client({ url: `https://127.0.0.1:${plain.port}/` }))).toMatch(/^tls: /);
  });

  test('a client certificate, renewed while running', async () => {
    const to = await receiver({ ...pems(server), ca: readFileSync(authority.cert), requestCert: true });
    const known = folder.certificate('client', authority);
    const unknown = folder.certificate('client-of-other-authority', otherAuthority);
    const tls = { caFile: authority.cert, certFile: unknown.cert, keyFile: unknown.key };
    const of = client({ url: url(to), tls });
    expect(await send(of)).toMatch(/^(tls|closed): /);
    folder.replace(unknown, known);
    expect(await send(of)).toBe(204);
  });
});

describe('authentication from files', () => {
  test('a password, changed while running', async () => {
    const to = await receiver();
    const of = client({ url: to.url, basicAuth: { username: 'me', passwordFile: file('password', 'one:1\n') } });
    await send(of);
    file('password', 'two');
    await send(of);
    const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
    expect(to.requests.map(({ headers }) => headers.authorization)).toEqual([basic('me:one:1'), basic('me:two')]);
  });

  test('a token, changed while running', async () => {
    const to = await receiver();
    const of = client({ url: to.url, bearerTokenFile: file('token', ' one \n') });
    await send(of);
    file('token', 'two');
    await send(of);
    expect(to.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer one', 'Bearer two']);
  });

  test.each([
    ['is not there', '/nowhere/token'],
    ['has two lines', 'two\nlines'],
  ])('a token file that %s: nothing is sent, and the token is not shown', async (_name, content) => {
    const to = await receiver();
    const path = content.startsWith('/') ? content : file('bad-token', content);
    const outcome = await send(client({ url: to.url, bearerTokenFile: path }));
    expect(outcome).toMatch(/^credentials: bearerTokenFile/);
    expect(outcome).not.toContain('lines\n');
    expect(to.requests).toEqual([]);
  });
});

/** A proxy that forwards and tunnels to loopback whatever the name, and keeps what it was asked for. */
async function startProxy(refuse = 0): Promise<{ port: number; asked: string[]; server: Server }> {
  const asked: string[] = [];
  const proxy = createServer((request, response) => {
    const authorization = request.headers['proxy-authorization'];
    asked.push(`${request.method} ${request.url} ${authorization ?? ''}`.trim());
    response.writeHead(refuse || 204).end();
  });
  proxy.on('connect', (request, socket) => {
    asked.push(`CONNECT ${request.url}`);
    if (refuse !== 0) {
      socket.end(`HTTP/1.1 ${refuse} No\r\n\r\n`);
      return;
    }
    const through = connect(Number(request.url?.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      through.pipe(socket);
      socket.pipe(through);
    });
    for (const end of [through, socket]) end.on('error', () => {});
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  closers.push(async () => {
    proxy.closeAllConnections();
    await new Promise((resolve) => proxy.close(resolve));
  });
  return { port: (proxy.address() as AddressInfo).port, asked, server: proxy };
}

describe('proxies', () => {
  test('plain text is forwarded', async () => {
    const { port, asked } = await startProxy();
    const environment = { HTTP_PROXY: `http://me:secret@127.0.0.1:${port}` };
    expect(await send(client({ url: 'http://db.example/write' }, environment))).toBe(204);
    const basic = Buffer.from('me:secret').toString('base64');
    expect(asked).toEqual([`POST http://db.example/write Basic ${basic}`]);
  });

  test('TLS is tunnelled, and the certificate is that of the receiver', async () => {
    const to = await receiver(pems(server));
    const { port, asked } = await startProxy();
    const settings = { url: `https://db.example:${to.port}/write`, proxyUrl: `http://127.0.0.1:${port}` };
    const right = { caFile: authority.cert, serverName: 'localhost' };
    expect(await send(client({ ...settings, tls: right }))).toBe(204);
    expect(await send(client({ ...settings, tls: { caFile: authority.cert } }))).toMatch(/^tls: /);
    expect(asked).toEqual([`CONNECT db.example:${to.port}`, `CONNECT db.example:${to.port}`]);
  });

  test('an exception goes straight', async () => {
    const { port, asked } = await startProxy();
    const environment = { HTTP_PROXY: `http://127.0.0.1:${port}`, NO_PROXY: '.invalid' };
    expect(await send(client({ url: `http://${'x'.repeat(64)}.invalid/` }, environment))).toMatch(/^dns: /);
    expect(asked).toEqual([]);
  });

  test.each(['not a url', 'socks5://127.0.0.1:1080'])('an invalid proxy is reported at once: %s', (proxy) => {
    expect(() => client({ url: 'http://db.example/' }, { HTTP_PROXY: proxy })).toThrow(/^HTTPS_PROXY or HTTP_PROXY: /);
  });

  test('a proxy that refuses is named, its password is not', async () => {
    const { port } = await startProxy(407);
    const proxyUrl = `http://me:secret@127.0.0.1:${port}`;
    for (const url of ['http://db.example/', 'https://db.example/']) {
      const outcome = await send(client({ url, proxyUrl }));
      expect(outcome).toMatch(/^proxy: .*through the proxy http:\/\/\*\*\*@127.0.0.1:\d+: /);
      expect(outcome).not.toContain('secret');
    }
  });
});

test('messages name the URL and the proxy as they are written', async () => {
  const { port } = await startProxy(407);
  const settings = { url: 'http://db.example/s3cret/write', proxyUrl: `http://127.0.0.1:${port}/` };
  const written = { url: 'http://db.example/${PATH}/write?x=1', proxyUrl: 'http://${PROXY}', secrets: ['s3cret'] };
  const to = await receiver();
  to.answer = status(404, { location: 'http://else.where/s3cret' }, 'no /s3cret%2Fwrite here');
  expect(client({ ...settings, written }).displayUrl).toBe('http://db.example/${PATH}/write?***');
  const direct = await client({ url: to.url, written }).send('POST', {}, BODY, LIVE);
  expect(direct).toMatchObject({ text: 'no /***%2Fwrite here', redirect: 'http://else.where/***' });
  expect(await send(client({ ...settings, url: 'https://db.example/s3cret', written }))).toContain(
    'the proxy http://${PROXY}: ',
  );
});

test('a request ends when it is aborted', async () => {
  const to = await receiver();
  to.answer = () => {};
  const stop = new AbortController();
  const sent = client({ url: to.url }).send('POST', {}, BODY, stop.signal);
  setTimeout(() => stop.abort(), 20);
  expect(await sent).toMatchObject({ failure: 'stopped' });
});
