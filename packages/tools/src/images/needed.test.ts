import { expect, test } from '@jest/globals';
import { isNeededOfDaemon, isNeededOfDebian } from './needed.ts';

const ARM = { os: 'linux', arch: 'arm64' };

test.each([
  ['dist/main.js', true],
  ['package.json', true],
  ['pnpm-lock.yaml', false],
  ['node_modules/yaml/dist/index.js', true],
  ['node_modules/yaml/dist/index.d.ts', false],
  ['node_modules/zod/index.d.cts', false],
  ['node_modules/netlink/src/binding.cc', false],
  ['node_modules/undici/lib/index.js.map', false],
  ['node_modules/undici/README.md', false],
  ['node_modules/undici/LICENSE', true],
  ['node_modules/streamx/LICENSE.md', true],
  ['node_modules/@types/node/index.d.ts', false],
  ['node_modules/@types/node/package.json', false],
  ['node_modules/hpagent/test/got.test.js', false],
  ['node_modules/yaml/dist/doc/Document.js', true],
  ['node_modules/.bin/yaml', false],
  ['node_modules/.modules.yaml', false],
  ['node_modules/netlink/prebuilds/linux-arm64/netlink.node', true],
  ['node_modules/netlink/prebuilds/linux-x64/netlink.node', false],
  ['node_modules/bare-fs/prebuilds/linux-arm64/bare-fs.bare', false],
])('of a daemon, on arm64: %s', (path, needed) => {
  expect(isNeededOfDaemon(path, ARM)).toBe(needed);
});

test.each([
  ['lib/aarch64-linux-gnu/libc.so.6', true],
  ['lib/ld-linux-aarch64.so.1', true],
  ['lib64/ld-linux-x86-64.so.2', true],
  ['usr/lib/x86_64-linux-gnu/libbpf.so.1.1.2', true],
  ['usr/lib/x86_64-linux-gnu/gconv/UTF-16.so', false],
  ['usr/lib/x86_64-linux-gnu/audit/sotruss-lib.so', false],
  ['usr/share/doc/libc6/copyright', true],
  ['usr/share/doc/libgcc-s1', true],
  ['usr/share/doc/libc6/changelog.Debian.gz', false],
  ['usr/share/gdb/auto-load/libstdc++.so.6.0.30-gdb.py', false],
])('of Debian: %s', (path, needed) => {
  expect(isNeededOfDebian(path)).toBe(needed);
});
