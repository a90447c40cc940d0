import { expect, test } from '@jest/globals';
import { type Flowtable, parseFlowtable, uncountedFlowtables } from './flowtables.ts';

/** Made by linux/netfilter/nf_tables.h, in the order of `nf_tables_fill_flowtable_info` (net/netfilter/nf_tables_api.c). */
const attribute = (type: number, ...parts: readonly Buffer[]): Buffer => {
  const payload = Buffer.concat(parts);
  const header = Buffer.alloc(4);
  header.writeUInt16LE(4 + payload.length, 0);
  header.writeUInt16LE(type, 2);
  return Buffer.concat([header, payload, Buffer.alloc(-payload.length & 3)]);
};
const NESTED = 0x8000;
const text = (value: string) => Buffer.from(`${value}\0`);
const u32 = (value: number) => Buffer.of(0, 0, 0, value);
const hook = (devices: readonly string[]) =>
  attribute(
    NESTED | 3,
    attribute(1, u32(0)),
    attribute(2, u32(0)),
    attribute(NESTED | 3, ...devices.map((device) => attribute(1, text(device)))),
  );

/** @param flags undefined: a kernel before 5.5 sends none */
function message(family: number, rules: number, devices: readonly string[], flags: number | undefined): Buffer {
  return Buffer.concat([
    Buffer.of(family, 0, 0, 7),
    attribute(1, text('fast')),
    attribute(2, text('f')),
    attribute(4, u32(rules)),
    attribute(5, Buffer.of(0, 0, 0, 0, 0, 0, 0, 9)),
    ...(flags === undefined ? [] : [attribute(7, u32(flags))]),
    hook(devices),
  ]);
}

const PODS = ['pod-web', 'pod-db', 'uplink'];

test.each<[string, Buffer, Flowtable, boolean]>([
  ['without counter', message(1, 1, PODS, 0), { name: 'inet/fast/f', devices: 3, rules: 1, counter: false }, true],
  ['with counter', message(1, 1, PODS, 2), { name: 'inet/fast/f', devices: 3, rules: 1, counter: true }, false],
  ['in hardware, without', message(2, 2, PODS, 1), { name: 'ip/fast/f', devices: 3, rules: 2, counter: false }, true],
  [
    'in hardware, with counter',
    message(10, 1, PODS, 3),
    { name: 'ip6/fast/f', devices: 3, rules: 1, counter: true },
    false,
  ],
  [
    'of an old kernel',
    message(1, 1, ['eth0'], undefined),
    { name: 'inet/fast/f', devices: 1, rules: 1, counter: false },
    true,
  ],
  ['that no rule fills', message(1, 0, PODS, 0), { name: 'inet/fast/f', devices: 3, rules: 0, counter: false }, false],
  ['without links', message(1, 1, [], 0), { name: 'inet/fast/f', devices: 0, rules: 1, counter: false }, false],
])('a flowtable %s', (_, data, expected, isBlind) => {
  const flowtable = parseFlowtable(data);
  expect(flowtable).toEqual(expected);
  expect(uncountedFlowtables([flowtable])).toEqual(isBlind ? [expected.name] : []);
});

test('bytes that are cut off are an error, and no flowtable', () => {
  const whole = message(1, 1, PODS, 0);
  expect(() => parseFlowtable(whole.subarray(0, whole.length - 6))).toThrow();
});
