import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Fields, Log } from '@egressd/daemon/log';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { runInit } from './init.ts';

let root: string;
let lines: (Fields & { level: string; message: string })[];
const line =
  (level: string) =>
  (message: string, fields: Fields = {}) =>
    lines.push({ level, message, ...fields });
const log: Log = { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'egressd-init-'));
  lines = [];
});
afterEach(() => rmSync(root, { recursive: true }));

/** A proc with the sysctls of a namespace. */
function proc(name: string, sysctls: Readonly<Record<string, number>>): string {
  const folder = join(root, name, 'sys/net/netfilter');
  mkdirSync(folder, { recursive: true });
  for (const [file, value] of Object.entries(sysctls)) writeFileSync(join(folder, file), `${value}\n`);
  return join(root, name);
}
const sysctlOf = (name: string, file: string) =>
  readFileSync(join(root, name, 'sys/net/netfilter', file), 'utf8').trim();

const ALL = { nf_conntrack_acct: 0, nf_conntrack_timestamp: 0, nf_conntrack_events: 2 };

describe('sysctls', () => {
  test('are all set to 1, and each is logged', () => {
    expect(runInit({ cgroupv2: false, procRoots: [proc('proc', ALL)], log })).toBe(0);
    expect(Object.keys(ALL).map((file) => sysctlOf('proc', file))).toEqual(['1', '1', '1']);
    expect(lines).toMatchObject([
      { level: 'info', sysctl: 'nf_conntrack_acct', before: '0', now: '1' },
      { level: 'info', sysctl: 'nf_conntrack_timestamp', before: '0', now: '1' },
      { level: 'info', sysctl: 'nf_conntrack_events', before: '2', now: '1' },
    ]);
  });
  test("are the host's where its proc is mounted", () => {
    const procRoots = [proc('hostproc', ALL), proc('proc', ALL)];
    expect(runInit({ cgroupv2: false, procRoots, log })).toBe(0);
    expect([sysctlOf('hostproc', 'nf_conntrack_acct'), sysctlOf('proc', 'nf_conntrack_acct')]).toEqual(['1', '0']);
  });
  test('are our own where it is not', () => {
    const procRoots = [join(root, 'hostproc'), proc('proc', ALL)];
    expect(runInit({ cgroupv2: false, procRoots, log })).toBe(0);
    expect(sysctlOf('proc', 'nf_conntrack_acct')).toBe('1');
  });
  test('no timestamps: a warning', () => {
    const procRoots = [proc('proc', { nf_conntrack_acct: 0, nf_conntrack_events: 1 })];
    expect(runInit({ cgroupv2: false, procRoots, log })).toBe(0);
    expect(lines.filter(({ level }) => level === 'warn')).toMatchObject([{ sysctl: 'nf_conntrack_timestamp' }]);
  });
  test('no accounting: an error that says what to do', () => {
    const procRoots = [proc('proc', { nf_conntrack_timestamp: 0, nf_conntrack_events: 1 })];
    expect(runInit({ cgroupv2: false, procRoots, log })).toBe(1);
    const error = expect.stringContaining('nf_conntrack');
    expect(lines.filter(({ level }) => level === 'error')).toMatchObject([{ sysctl: 'nf_conntrack_acct', error }]);
  });
});

test('cgroup v2 is left alone where it is mounted', () => {
  writeFileSync(join(root, 'cgroup.controllers'), '');
  const options = { cgroupv2: true, procRoots: [proc('proc', ALL)], cgroupRoots: [root, join(root, 'new')], log };
  expect(runInit(options)).toBe(0);
  expect(lines).toContainEqual(expect.objectContaining({ message: 'cgroup v2 is mounted already', path: root }));
});
