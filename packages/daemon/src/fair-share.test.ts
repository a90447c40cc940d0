import { describe, expect, test } from '@jest/globals';
import { FairShare, shareAddress } from './fair-share.ts';

/** Adds names like `a1` of the address `a`, one a millisecond. @returns what each add came to: nothing, or who went and why */
function filled(share: FairShare<string>, names: string, startMs = 0): string {
  return names
    .split(' ')
    .map((name, i) => {
      const full = share.add(name, name.charAt(0), startMs + i);
      return full === undefined ? '-' : `${full.evicted} ${full.limit}`;
    })
    .join(', ');
}

describe('room', () => {
  test('is made by the address that has most, with its oldest', () =>
    expect(filled(new FairShare({ all: 4, perAddress: 4 }), 'b1 a1 a2 a3 b2 c1')).toBe(
      '-, -, -, -, a1 limit, b1 limit',
    ));

  test('is made by the newcomer where nobody has more', () =>
    expect(filled(new FairShare({ all: 4, perAddress: 4 }), 'a1 a2 b1 b2 b3 a3')).toBe(
      '-, -, -, -, b1 limit, a1 limit',
    ));

  test('is made by the newcomer at the limit of an address', () =>
    expect(filled(new FairShare({ all: 9, perAddress: 2 }), 'b1 a1 a2 a3 b2')).toBe('-, -, -, a1 address_limit, -'));

  test('among equals is made by the oldest', () =>
    expect(filled(new FairShare({ all: 3, perAddress: 3 }), 'c1 a1 b1 d1')).toBe('-, -, -, c1 limit'));

  test('is made by what is idle first', () =>
    expect(filled(new FairShare({ all: 3, perAddress: 3 }, (name) => name === 'a1'), 'a1 a2 a3 b1')).toBe(
      '-, -, -, a2 limit',
    ));

  test('is there again once something is gone', () => {
    const share = new FairShare<string>({ all: 1, perAddress: 1 });
    filled(share, 'a1');
    share.delete('a1', 'a');
    share.delete('a1', 'a');
    expect([share.size, filled(share, 'b1')]).toEqual([0, '-']);
  });
});

describe('grace', () => {
  const limits = { all: 3, perAddress: 2, graceMs: 100 };

  test('who has no more than others keeps what is young: the newcomer is refused', () =>
    expect(filled(new FairShare(limits), 'a1 b1 c1 d1')).toBe('-, -, -, d1 limit'));

  test('who has clearly more does not', () =>
    expect(filled(new FairShare({ ...limits, perAddress: 3 }), 'a1 a2 a3 b1')).toBe('-, -, -, a1 limit'));

  test('ends', () => {
    const share = new FairShare<string>(limits);
    filled(share, 'a1 b1 c1');
    expect(filled(share, 'd1', 100)).toBe('a1 limit');
  });

  test('holds within an address too', () =>
    expect(filled(new FairShare(limits), 'a1 a2 a3')).toBe('-, -, a3 address_limit'));
});

test('of many, the few from elsewhere are all let in', () => {
  const share = new FairShare<string>({ all: 50, perAddress: 25, graceMs: 1e9 });
  for (let i = 0; i < 1000; i++) share.add(`a${i}`, 'a', i);
  for (let i = 0; i < 1000; i++) share.add(`b${i}`, 'b', i);
  for (let i = 0; i < 15; i++) expect(share.add(`honest${i}`, 'h', 2000)?.evicted).toMatch(/^[ab]/);
  expect(share.size).toBe(50);
});

test.each([
  ['10.0.0.1', '10.0.0.1'],
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:db8::5', '2001:db8:0:0'],
  ['2001:db8:1:2::', '2001:db8:1:2'],
  ['::1', '0:0:0:0'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
])('of %s the address that shares is %s', (address, expected) => expect(shareAddress(address)).toBe(expected));
