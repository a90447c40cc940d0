import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Counter, Registry } from 'prom-client';
import { HttpListenError, type HttpOptions, type HttpServer, startHttp } from './http.ts';
import { createHttpRefusals } from './http-refusals.ts';

const servers: HttpServer[] = [];

async function start(options: Partial<HttpOptions> = {}): Promise<string> {
  const refused = createHttpRefusals(new Registry(), 'exporter');
  const server = await startHttp({
    port: 0,
    host: '127.0.0.1',
    registry: new Registry(),
    refused,
    ready: () => [],
    ...options,
  });
  servers.push(server);
  return `http://127.0.0.1:${server.port}`;
}

async function read(url: string, method = 'GET'): Promise<[number, string]> {
  const response = await fetch(url, { method });
  return [response.status, await response.text()];
}

/** The counter of a server, and where it can be read. */
function refusals() {
  const registry = new Registry();
  return [registry, createHttpRefusals(registry, 'exporter')] as const;
}

/** What the server responds to raw bytes, until it closes the connection. */
function sendRaw(url: string, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.on('data', (data) => {
      text += data;
    });
    socket.on('close', () => resolve(text));
    socket.on('error', reject);
  });
}

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

describe('answers', () => {
  test.each<[string, string, number, string]>([
    ['GET', '/healthz', 200, 'ok\n'],
    ['GET', '/healthz?verbose', 200, 'ok\n'],
    ['HEAD', '/healthz', 200, ''],
    ['GET', '/readyz', 503, 'no inventory yet\nno sink\n'],
    ['HEAD', '/readyz', 503, ''],
    ['GET', '/', 404, 'not found; there is /healthz, /readyz, /metrics\n'],
    ['GET', '/metrics/', 404, 'not found; there is /healthz, /readyz, /metrics\n'],
    ['POST', '/healthz', 405, 'only GET and HEAD\n'],
    ['DELETE', '/metrics', 405, 'only GET and HEAD\n'],
    ['POST', '/nothing', 404, 'not found; there is /healthz, /readyz, /metrics\n'],
    ['HEAD', '/metrics', 200, ''],
  ])('%s %s: %d', async (method, path, status, text) => {
    const url = await start({ ready: () => ['no inventory yet', 'no sink'] });
    expect(await read(url + path, method)).toEqual([status, text]);
  });

  test('ready as soon as nothing is missing', async () => {
    const reasons = ['no inventory yet'];
    const url = await start({ ready: () => reasons });
    expect(await read(`${url}/readyz`)).toEqual([503, 'no inventory yet\n']);
    reasons.pop();
    expect(await read(`${url}/readyz`)).toEqual([200, 'ok\n']);
  });

  test('a 405 says what is allowed', async () => {
    const response = await fetch(`${await start()}/metrics`, { method: 'PUT' });
    expect(response.headers.get('allow')).toBe('GET, HEAD');
  });

  test('metrics: the registry, then the rest, of any size', async () => {
    const registry = new Registry();
    new Counter({ name: 'egressd_test_total', help: 'A test.', registers: [registry] }).inc(3);
    const piece = `${'x'.repeat(65_535)}\n`;
    const url = await start({ registry, extraMetrics: () => Array<string>(100).fill(piece) });
    const response = await fetch(`${url}/metrics`);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(await response.text()).toBe(
      `# HELP egressd_test_total A test.\n# TYPE egressd_test_total counter\negressd_test_total 3\n${piece.repeat(100)}`,
    );
  });

  test('metrics as OpenMetrics for a client that prefers it, and as before for the next one', async () => {
    const registry = new Registry();
    for (const name of ['a', 'b'])
      new Counter({ name: `egressd_${name}_total`, help: 'A "test".', registers: [registry] }).inc(3);
    const extraMetrics = () => ['# HELP c_total C.\n# TYPE c_total counter\nc_total 1\n', 'c_total{x="y"} 2\n'];
    const url = `${await start({ registry, extraMetrics })}/metrics`;
    const before = await read(url);
    const accept = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5';
    const response = await fetch(url, { headers: { accept } });
    expect(response.headers.get('content-type')).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
    expect((await response.text()).split('\n')).toEqual([
      ...['# HELP egressd_a A \\"test\\".', '# TYPE egressd_a counter', 'egressd_a_total 3'],
      ...['# HELP egressd_b A \\"test\\".', '# TYPE egressd_b counter', 'egressd_b_total 3'],
      ...['# HELP c C.', '# TYPE c counter', 'c_total 1', 'c_total{x="y"} 2', '# EOF', ''],
    ]);
    expect(await read(url)).toEqual(before);
  });
});

describe('hostile clients', () => {
  test('too long a header is refused', async () => {
    const text = await sendRaw(await start(), `GET /healthz HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(10_000)}\r\n\r\n`);
    expect(text.split('\r\n')[0]).toBe('HTTP/1.1 431 Request Header Fields Too Large');
  });

  test('what is not HTTP is refused', async () => {
    expect((await sendRaw(await start(), 'hello\r\n\r\n')).split('\r\n')[0]).toBe('HTTP/1.1 400 Bad Request');
  });

  test('a client that disconnects in the middle of a response is gone, and the server keeps serving', async () => {
    const piece = 'x'.repeat(65_536);
    const url = await start({ extraMetrics: () => Array<string>(100).fill(piece) });
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () =>
      socket.write('GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n'),
    );
    await once(socket, 'data');
    socket.destroy();
    expect((await read(`${url}/metrics`))[1]).toHaveLength(100 * piece.length + 1);
    expect(await read(`${url}/healthz`)).toEqual([200, 'ok\n']);
  });

  test('the next request before the response to the one before cuts the connection', async () => {
    const [registry, refused] = refusals();
    const url = await start({ refused });
    const get = 'GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n';
    expect(await sendRaw(url, get.repeat(100))).toBe('');
    expect(await registry.metrics()).toContain('egressd_exporter_http_refused_total{reason="pipelined"} 1\n');
  });

  test('a request that comes in pieces is served', async () => {
    const socket = connect(Number(new URL(await start()).port), '127.0.0.1').setNoDelay(true);
    for (const piece of ['GET /healthz HTTP/1.1\r\nHo', 'st: a\r', '\n\r', '\n']) {
      socket.write(piece);
      await sleep(5);
    }
    expect(String(await once(socket, 'data'))).toContain('200 OK');
    socket.destroy();
  });

  test('one request after the other on a connection is served', async () => {
    const socket = connect(Number(new URL(await start()).port), '127.0.0.1');
    for (let i = 0; i < 3; i++) {
      socket.write('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n');
      expect(String(await once(socket, 'data'))).toContain('200 OK');
    }
    socket.destroy();
  });

  test('idle connections shut nobody out: the oldest makes room', async () => {
    const [registry, refused] = refusals();
    const url = await start({ refused });
    const sockets = Array.from({ length: 65 }, () => connect(Number(new URL(url).port), '127.0.0.1'));
    await once(sockets[0]!, 'close');
    expect(await read(`${url}/healthz`)).toEqual([200, 'ok\n']);
    expect(await registry.metrics()).toContain('egressd_exporter_http_refused_total{reason="address_limit"} 2\n');
    for (const socket of sockets) socket.destroy();
  });

  test('pages that nobody reads make room for those who do', async () => {
    const [registry, refused] = refusals();
    const url = await start({ refused, extraMetrics: () => Array<string>(300).fill('x'.repeat(65_536)) });
    const sockets = Array.from({ length: 6 }, () => connect(Number(new URL(url).port), '127.0.0.1'));
    for (const socket of sockets) socket.pause().write('GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n');
    while (!(await registry.metrics()).includes('{reason="address_limit"} 2\n')) await sleep(5);
    expect((await read(`${url}/metrics`))[1]).toHaveLength(300 * 65_536 + 1);
    expect(await registry.metrics()).toContain('egressd_exporter_http_refused_total{reason="address_limit"} 3\n');
    for (const socket of sockets) socket.destroy();
  });

  test('a port that is taken: which one, and what to do', async () => {
    const port = Number(new URL(await start()).port);
    const second = start({ port });
    await expect(second).rejects.toThrow(HttpListenError);
    await expect(second).rejects.toThrow(
      `cannot listen on port ${port} of 127.0.0.1 for HTTP: another process has it; choose another with -http-listen-port`,
    );
  });
});
