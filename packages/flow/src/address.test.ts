import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  addressKey,
  addressOfKey,
  formatAddress,
  inRange,
  isLinkLocalV4,
  isLoopback,
  isPublic,
  parseAddress,
  parseRange,
} from './address.ts';

describe('text', () => {
  test.each([
    ['10.0.0.1', '10.0.0.1'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['2001:DB8::1', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['fe80::', 'fe80::'],
  ])('%s is %s', (text, expected) => expect(formatAddress(parseAddress(text)!)).toBe(expected));

  test.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '256.0.0.1',
    '01.2.3.4',
    '1.2.3.x',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    'g::',
    '::1.2.3',
    'fe80::1%eth0',
    '1:2:3:4:5:6:7::8',
  ])('%j names none', (text) => expect(parseAddress(text)).toBeUndefined());

  test('what is written is read again', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        expect(parseAddress(formatAddress(bytes))).toEqual(bytes);
        expect(addressOfKey(addressKey(bytes))).toEqual(bytes);
      }),
    );
  });

  test('an address inside a larger buffer', () => {
    const bytes = new Uint8Array(40);
    bytes.set(parseAddress('192.0.2.7')!, 8);
    expect(formatAddress(bytes, 8)).toBe('192.0.2.7');
    expect(addressKey(bytes, 8)).toBe(addressKey(parseAddress('192.0.2.7')!));
  });
});

describe('ranges', () => {
  test.each([
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['10.0.0.0/8', '::a00:1', false],
    ['100.64.0.0/10', '100.127.255.255', true],
    ['100.64.0.0/10', '100.128.0.0', false],
    ['fc00::/7', 'fdff::1', true],
    ['fc00::/7', 'fe00::1', false],
    ['0.0.0.0/0', '8.8.8.8', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['::/0', '8.8.8.8', true],
    ['192.0.2.1', '192.0.2.1', true],
    ['192.0.2.1', '192.0.2.2', false],
  ])('%s holds %s: %s', (range, address, expected) =>
    expect(inRange(parseRange(range)!, parseAddress(address)!)).toBe(expected),
  );

  test.each(['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', 'x/8', '::/129', '10.0.0.0/-1'])('%j is none', (text) =>
    expect(parseRange(text)).toBeUndefined(),
  );
});

test.each([
  ['10.1.2.3', false],
  ['172.15.255.255', true],
  ['172.16.0.1', false],
  ['172.32.0.0', true],
  ['192.168.1.1', false],
  ['100.64.0.1', false],
  ['169.254.169.254', false],
  ['127.0.0.1', false],
  ['224.0.0.1', false],
  ['0.0.0.0', false],
  ['8.8.8.8', true],
  ['203.0.113.9', true],
  ['fd00::1', false],
  ['fe80::1', false],
  ['ff02::1', false],
  ['::1', false],
  ['::', false],
  ['2606:4700::1111', true],
])('%s is public: %s', (text, expected) => expect(isPublic(parseAddress(text)!)).toBe(expected));

test.each([
  ['127.0.0.1', true],
  ['127.9.9.9', true],
  ['::1', true],
  ['::2', false],
  ['128.0.0.1', false],
])('%s is loopback: %s', (text, expected) => expect(isLoopback(parseAddress(text)!)).toBe(expected));

test.each([
  ['169.254.0.1', true],
  ['169.254.255.255', true],
  ['169.253.255.255', false],
  ['169.255.0.0', false],
  ['a9fe::1', false],
])('%s is link-local of IPv4: %s', (text, expected) => expect(isLinkLocalV4(parseAddress(text)!)).toBe(expected));
