import { inRange, parseAddress, parseRange } from '@egressd/flow/address';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Network } from './network.ts';
import { NetworkIndex, type NetworkRange } from './network-index.ts';

function network(name: string): Network {
  return { name, kind: '', zone: '', region: '', service: '' };
}

function range(cidr: string, name = cidr): NetworkRange {
  return [parseRange(cidr)!, network(name)];
}

function find(cidrs: readonly string[], address: string): string | undefined {
  return new NetworkIndex(cidrs.map((cidr) => range(cidr))).find(parseAddress(address)!, 0)?.name;
}

test.each<[string[], string, string | undefined]>([
  [[], '10.0.0.1', undefined],
  [['10.0.0.0/8'], '9.255.255.255', undefined],
  [['10.0.0.0/8'], '10.0.0.0', '10.0.0.0/8'],
  [['10.0.0.0/8'], '10.255.255.255', '10.0.0.0/8'],
  [['10.0.0.0/8'], '11.0.0.0', undefined],
  [['10.0.0.0/8', '10.1.0.0/16'], '10.1.2.3', '10.1.0.0/16'],
  [['10.1.0.0/16', '10.0.0.0/8'], '10.2.0.0', '10.0.0.0/8'],
  [['10.0.0.0/8', '10.0.0.0/16', '10.0.0.0/24'], '10.0.1.0', '10.0.0.0/16'],
  [['0.0.0.0/0', '255.255.255.255'], '255.255.255.255', '255.255.255.255'],
  [['0.0.0.0/0'], '::1', undefined],
  [['::/0'], '203.0.113.1', '::/0'],
  [['::/0', '192.0.2.0/24'], '192.0.3.0', '::/0'],
  [['2001:db8::/32', '2001:db8:1::/48'], '2001:db8:1::1', '2001:db8:1::/48'],
  [['2001:db8::/32', '2001:db8:1::/48'], '2001:db8:2::', '2001:db8::/32'],
  [['ffff::/16'], 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'ffff::/16'],
])('in %j %s is of %s', (cidrs, address, expected) => {
  expect(find(cidrs, address)).toBe(expected);
});

test('of the same range the last one counts', () => {
  const index = new NetworkIndex([range('10.0.0.0/8', 'first'), range('10.9.9.9/8', 'last')]);
  expect(index.find(parseAddress('10.0.0.1')!, 0)?.name).toBe('last');
});

test('it finds what a look at every range finds', () => {
  // Few different bytes, so that ranges hold each other.
  const byte = fc.constantFrom(0, 1, 127, 128, 255);
  const address = fc.oneof(
    fc.tuple(byte, byte, byte, byte).map((bytes) => parseAddress(bytes.join('.'))!),
    fc.array(byte, { minLength: 16, maxLength: 16 }).map((bytes) => Uint8Array.from(bytes)),
  );
  const anyRange = fc.record({ bytes: address, bits: fc.nat(128) });
  fc.assert(
    fc.property(fc.array(anyRange, { maxLength: 12 }), fc.array(address, { maxLength: 20 }), (ranges, addresses) => {
      const all = ranges.map((one, i): NetworkRange => [one, network(String(i))]);
      const index = new NetworkIndex(all);
      for (const bytes of addresses) {
        const holding = all.filter(([one]) => inRange(one, bytes));
        const longest = Math.max(...holding.map(([one]) => one.bits));
        expect(index.find(bytes, 0)).toBe(holding.findLast(([one]) => one.bits === longest)?.[1]);
      }
    }),
    { numRuns: 500 },
  );
});
