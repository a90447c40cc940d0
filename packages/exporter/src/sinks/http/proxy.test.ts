import { describe, expect, test } from '@jest/globals';
import { proxyFor } from './proxy.ts';

const PROXIES = { HTTPS_PROXY: 'http://secure:1', HTTP_PROXY: 'http://plain:2' };

describe('proxyFor', () => {
  test.each([
    ['https://db.example/x', {}, undefined],
    ['https://db.example/x', PROXIES, 'http://secure:1'],
    ['http://db.example/x', PROXIES, 'http://plain:2'],
    ['http://db.example/x', { ...PROXIES, http_proxy: 'http://small:3' }, 'http://small:3'],
    ['http://db.example/x', { HTTP_PROXY: 'plain:2' }, 'http://plain:2'],
    ['http://db.example/x', { HTTP_PROXY: '' }, undefined],
    ['http://localhost:9/', PROXIES, undefined],
    ['http://127.0.0.1:9/', PROXIES, undefined],
    ['http://[::1]:9/', PROXIES, undefined],
    ['http://db.example/x', { ...PROXIES, NO_PROXY: '*' }, undefined],
    ['http://db.example/x', { ...PROXIES, NO_PROXY: 'other, db.example' }, undefined],
    ['http://db.example/x', { ...PROXIES, NO_PROXY: 'DB.Example' }, undefined],
    ['http://db.example/x', { ...PROXIES, NO_PROXY: '.example' }, undefined],
    ['http://db.example/x', { ...PROXIES, NO_PROXY: '*.example' }, undefined],
    ['http://db.example/x', { ...PROXIES, NO_PROXY: 'example' }, undefined],
    ['http://db.example/x', { ...PROXIES, NO_PROXY: 'ample' }, 'http://plain:2'],
    ['http://db.example:8080/x', { ...PROXIES, NO_PROXY: 'db.example:8080' }, undefined],
    ['http://db.example:8080/x', { ...PROXIES, NO_PROXY: 'db.example:81' }, 'http://plain:2'],
    ['http://db.example/x', { ...PROXIES, NO_PROXY: 'db.example:80' }, undefined],
    ['http://10.1.2.3/x', { ...PROXIES, NO_PROXY: '10.0.0.0/8' }, undefined],
    ['http://11.1.2.3/x', { ...PROXIES, NO_PROXY: '10.0.0.0/8' }, 'http://plain:2'],
    ['http://10.1.2.3/x', { ...PROXIES, NO_PROXY: '10.1.2.3' }, undefined],
    ['http://[fd00::5]/x', { ...PROXIES, NO_PROXY: 'fd00::/8' }, undefined],
    ['http://db.svc.cluster.local/x', { ...PROXIES, no_proxy: '.svc,.cluster.local' }, undefined],
  ])('%s %j: %s', (url, environment, expected) => expect(proxyFor(new URL(url), environment)).toBe(expected));
});
