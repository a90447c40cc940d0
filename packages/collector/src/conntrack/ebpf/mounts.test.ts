import { expect, test } from '@jest/globals';
import { checkRequirements } from './mounts.ts';

const status = (...bits: number[]) =>
  `Name:\tnode\nCapEff:\t${bits
    .reduce((all, bit) => all | (1n << BigInt(bit)), 0n)
    .toString(16)
    .padStart(16, '0')}\n`;
const [NET_ADMIN, SYS_ADMIN, BPF] = [12, 21, 39];

test.each<[string, string]>([
  ['5.8.0', status(NET_ADMIN, BPF)],
  ['5.10.0-28-amd64', status(SYS_ADMIN)],
  ['6.18.44', status(NET_ADMIN, BPF, SYS_ADMIN)],
])('Linux %s with what is needed', (kernel, text) => {
  expect(() => checkRequirements(kernel, text)).not.toThrow();
});

test.each<[string, string, string, string]>([
  ['5.7.19', status(NET_ADMIN, BPF), 'unsupported', 'counting by eBPF needs Linux 5.8 or later, this is 5.7.19'],
  [
    '4.18.0-553.el8',
    status(SYS_ADMIN),
    'unsupported',
    'counting by eBPF needs Linux 5.8 or later, this is 4.18.0-553.el8',
  ],
  ['6.1.0', status(NET_ADMIN), 'permission', 'counting by eBPF needs the capabilities BPF and NET_ADMIN: missing BPF'],
  [
    '6.1.0',
    status(),
    'permission',
    'counting by eBPF needs the capabilities BPF and NET_ADMIN: missing BPF, NET_ADMIN',
  ],
])('Linux %s: %s', (kernel, text, code, message) => {
  expect(() => checkRequirements(kernel, text)).toThrow(expect.objectContaining({ code, message }));
});
